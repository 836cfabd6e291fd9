//! Where `plumb serve` sends traces: from OpenTelemetry's own environment names
//! and from `[serve.traces]`.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use plumb_serve::trace::TraceSettings;

use crate::config::Config;

/// What traces are sent to, below the address of a collector.
const PATH: &str = "/v1/traces";

/// The environment.
#[expect(clippy::disallowed_methods, reason = "the environment is resolved here")]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

/// Where traces go, if anywhere. What `environment` says goes before the file.
pub fn settings(
    config: &Config,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<TraceSettings>> {
    if environment("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Ok(None);
    }
    match environment("OTEL_TRACES_EXPORTER").as_deref() {
        None | Some("otlp") => {}
        Some("none") => return Ok(None),
        Some(other) => bail!("`OTEL_TRACES_EXPORTER` is `{other}`; known are otlp and none"),
    }
    let either =
        |of_traces: &str, of_all: &str| environment(of_traces).or_else(|| environment(of_all));
    let base = environment("OTEL_EXPORTER_OTLP_ENDPOINT");
    let base = base.or_else(|| config.serve.traces.endpoint.clone());
    let url = match (environment("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), base) {
        (Some(whole), _) => whole,
        (None, Some(base)) if base.ends_with(PATH) => base,
        (None, Some(base)) => format!("{}{PATH}", base.trim_end_matches('/')),
        (None, None) => return Ok(None),
    };
    let parsed = url::Url::parse(&url).ok();
    if !parsed.is_some_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host()) {
        bail!("traces are to go to `{url}`, which is no address such as http://127.0.0.1:4318");
    }
    let protocol = either("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL");
    if let Some(other) = protocol.filter(|protocol| protocol != "http/json") {
        bail!("the protocol of traces is `{other}`; this program speaks http/json");
    }
    let headers = either("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS");
    let timeout = either("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT");
    let number = |name: &str, default: u64| parse(name, environment(name), default);
    let size = |name: &str, default: u64| {
        number(name, default).map(|n| usize::try_from(n).unwrap_or(usize::MAX).clamp(1, 1 << 20))
    };
    let capture = environment("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT");
    Ok(Some(TraceSettings {
        url,
        headers: headers.map(|text| pairs(&text)).unwrap_or_default(),
        resource: resource(environment),
        sample: sample(config, environment)?,
        content: capture.map_or(config.serve.traces.content, |value| value == "true"),
        queue: size("OTEL_BSP_MAX_QUEUE_SIZE", 2048)?,
        batch: size("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512)?,
        every: Duration::from_millis(number("OTEL_BSP_SCHEDULE_DELAY", 5000)?),
        timeout: Duration::from_millis(parse("OTEL_EXPORTER_OTLP_TIMEOUT", timeout, 10_000)?),
    }))
}

fn parse(name: &str, value: Option<String>, default: u64) -> Result<u64> {
    let Some(value) = value else { return Ok(default) };
    value.parse().with_context(|| format!("`{name}` is `{value}`, which is no number"))
}

/// The part of requests that is recorded where the caller has not decided.
fn sample(config: &Config, environment: &dyn Fn(&str) -> Option<String>) -> Result<f64> {
    let Some(sampler) = environment("OTEL_TRACES_SAMPLER") else {
        return Ok(config.serve.traces.sample);
    };
    match sampler.trim_start_matches("parentbased_") {
        "always_on" => Ok(1.0),
        "always_off" => Ok(0.0),
        "traceidratio" => {
            let ratio = environment("OTEL_TRACES_SAMPLER_ARG").unwrap_or_else(|| "1".to_owned());
            let parsed = ratio.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
            parsed.with_context(|| {
                format!("`OTEL_TRACES_SAMPLER_ARG` is `{ratio}`; it must be in 0..=1")
            })
        }
        _ => bail!("`OTEL_TRACES_SAMPLER` is `{sampler}`, which is no sampler that is known"),
    }
}

/// What the service is called, and whatever else is said of it.
fn resource(environment: &dyn Fn(&str) -> Option<String>) -> Vec<(String, String)> {
    let mut all =
        environment("OTEL_RESOURCE_ATTRIBUTES").map(|text| pairs(&text)).unwrap_or_default();
    if let Some(name) = environment("OTEL_SERVICE_NAME") {
        all.retain(|(key, _)| key != "service.name");
        all.push(("service.name".to_owned(), name));
    }
    for (key, value) in [("service.name", "plumb"), ("service.version", env!("CARGO_PKG_VERSION"))]
    {
        if !all.iter().any(|(known, _)| known == key) {
            all.push((key.to_owned(), value.to_owned()));
        }
    }
    all
}

/// `key=value,key=value`, with percent signs as in addresses.
fn pairs(text: &str) -> Vec<(String, String)> {
    let pair = |pair: &str| {
        let plain = pair.trim().replace('+', "%2B").replace('&', "%26");
        url::form_urlencoded::parse(plain.as_bytes())
            .next()
            .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
    };
    text.split(',').filter_map(pair).filter(|(key, _)| !key.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Overrides, parse};

    fn of(file: &str, environment: &[(&str, &str)]) -> Result<Option<TraceSettings>> {
        let config = Config::resolve(parse(file).unwrap(), &Overrides::default(), 1).unwrap();
        let find = |name: &str| {
            let found = environment.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        settings(&config, &find)
    }

    const FILE: &str = "[serve.traces]\nendpoint = \"http://file:4318\"\nsample = 0.5\n";

    #[test]
    fn nothing_is_sent_unless_somebody_says_where() {
        assert_eq!(of("", &[]).unwrap(), None);
        assert_eq!(of(FILE, &[("OTEL_SDK_DISABLED", "true")]).unwrap(), None);
        assert_eq!(of(FILE, &[("OTEL_TRACES_EXPORTER", "none")]).unwrap(), None);
        let file = of(FILE, &[]).unwrap().unwrap();
        assert_eq!(
            (file.url.as_str(), file.sample, file.content),
            ("http://file:4318/v1/traces", 0.5, false)
        );
    }

    #[test]
    fn the_environment_goes_before_the_file() {
        let base = ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://base/");
        let whole = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://whole/here");
        assert_eq!(of(FILE, &[base]).unwrap().unwrap().url, "https://base/v1/traces");
        assert_eq!(of(FILE, &[base, whole]).unwrap().unwrap().url, "http://whole/here");
        let more = of(
            FILE,
            &[
                ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
                ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
                ("OTEL_SERVICE_NAME", "mine"),
                ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b+c, x=1"),
                ("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true"),
            ],
        );
        let more = more.unwrap().unwrap();
        assert!(more.content && (more.sample - 0.25).abs() < 1e-9);
        assert_eq!(more.headers[0], ("api-key".to_owned(), "a b+c".to_owned()));
        assert_eq!(more.headers[1].0, "x");
        assert!(more.resource.contains(&("service.name".to_owned(), "mine".to_owned())));
    }

    #[test]
    fn what_cannot_be_done_is_said() {
        for (name, value) in [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector"),
            ("OTEL_TRACES_SAMPLER", "sometimes"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "many"),
            ("OTEL_TRACES_EXPORTER", "zipkin"),
        ] {
            let error = of(FILE, &[(name, value)]).unwrap_err().to_string();
            assert!(error.contains(value), "{error}");
        }
    }
}
