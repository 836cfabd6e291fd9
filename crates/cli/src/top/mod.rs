//! `plumb top`: what a running server does, in the terminal.
//!
//! `exposition` reads `/metrics`, `figures` makes numbers of two readings, and
//! `view` draws them.

mod exposition;
mod figures;
mod view;

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use crate::config::Config;
use crate::context::Context;
use crate::exit::Exit;
use crate::project::{Project, resolve};
use exposition::Exposition;
use figures::{Figures, History};

/// Watch a running server in the terminal
///
/// Requests, latencies, tokens, the queue, the cache, memory and errors, from
/// the server's `/metrics`. q ends, p pauses, ? explains. With --once one
/// sample is printed; with --json as JSON.
#[derive(clap::Args, Debug)]
pub struct TopArgs {
    /// Address of the server (default: where the settings say that it listens)
    #[arg(long, value_name = "URL", env = "PLUMB_URL")]
    url: Option<String>,

    /// API key, where the server asks for one
    #[arg(long, value_name = "KEY", env = "PLUMB_KEY", hide_env_values = true)]
    key: Option<String>,

    /// Seconds between two looks
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=3600))]
    every: u64,

    /// Print one sample and end
    #[arg(long)]
    once: bool,
}

/// Longest `/metrics` that is read.
const MAX_TEXT: u64 = 16 << 20;

pub fn run(args: &TopArgs, context: &Context) -> Result<Exit> {
    let server = Server::new(args, context)?;
    let every = Duration::from_secs(args.every);
    if args.once || context.json {
        let first = server.look()?;
        std::thread::sleep(every);
        let figures = Figures::between(&first, &server.look()?);
        if context.json {
            context.print_json(&figures)?;
        } else {
            context.say(view::text(&figures, &server.url))?;
        }
        return Ok(Exit::Done);
    }
    // What is wrong from the beginning is an error, and not a picture.
    let first = server.look()?;
    let mut terminal = ratatui::try_init().context("this is no terminal: use --once")?;
    let watched = watch(&mut terminal, (&server, every), first, context);
    ratatui::try_restore()?;
    watched?;
    Ok(Exit::Done)
}

/// A server that is watched.
struct Server {
    url: String,
    key: Option<String>,
    agent: ureq::Agent,
}

/// What `/metrics` said, and when.
pub struct Reading {
    at: Instant,
    metrics: Exposition,
}

impl Server {
    fn new(args: &TopArgs, context: &Context) -> Result<Self> {
        let url = if let Some(url) = &args.url {
            url.trim_end_matches('/').to_owned()
        } else {
            let config = match Project::find(context) {
                Ok(project) => project.config,
                Err(_) => resolve(context, &context.folder)?,
            };
            address(&config)
        };
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(5)))
            .http_status_as_error(false)
            .build()
            .new_agent();
        Ok(Self { url, key: args.key.clone(), agent })
    }

    fn look(&self) -> Result<Reading> {
        let url = &self.url;
        let mut request = self.agent.get(format!("{url}/metrics"));
        if let Some(key) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let mut response = match request.call() {
            Ok(response) => response,
            Err(ureq::Error::ConnectionFailed | ureq::Error::Io(_)) => bail!(
                "nothing answers at `{url}`: start it with `plumb serve`, or say with --url where it is"
            ),
            Err(error) => return Err(error).with_context(|| format!("cannot reach `{url}`")),
        };
        match response.status().as_u16() {
            200 => {}
            401 | 403 if self.key.is_none() => {
                bail!("the server at `{url}` asks for a key: give one with --key or in PLUMB_KEY")
            }
            401 | 403 => bail!("the server at `{url}` does not take this key"),
            status => bail!("`{url}/metrics` answered with status {status}"),
        }
        let text = response.body_mut().with_config().limit(MAX_TEXT).read_to_string();
        let text = text.with_context(|| format!("`{url}/metrics` broke off"))?;
        let metrics = Exposition::parse(&text)
            .with_context(|| format!("`{url}/metrics` is not what a server of this kind says"))?;
        Ok(Reading { at: Instant::now(), metrics })
    }
}

/// Where the settings say that the server listens.
fn address(config: &Config) -> String {
    let mut listen = config.serve.listen;
    if listen.ip().is_unspecified() {
        listen.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    let scheme = if config.serve.tls_cert.is_some() { "https" } else { "http" };
    format!("{scheme}://{listen}")
}

/// What the screen shows.
struct Screen {
    url: String,
    figures: Figures,
    history: History,
    is_paused: bool,
    has_help: bool,
    /// Why the last look gave nothing.
    fault: Option<String>,
}

fn watch(
    terminal: &mut ratatui::DefaultTerminal,
    (server, every): (&Server, Duration),
    first: Reading,
    context: &Context,
) -> Result<()> {
    let mut screen = Screen::new(&server.url, &first);
    let mut last = first;
    let mut due = Instant::now() + every;
    while !context.stop.is_set() {
        terminal.draw(|frame| view::draw(frame, &screen))?;
        if event::poll(due.saturating_duration_since(Instant::now()))? {
            if let Event::Key(key) = event::read()?
                && !screen.press(key)
            {
                return Ok(());
            }
            continue;
        }
        due = Instant::now() + every;
        if !screen.is_paused {
            screen.take(server.look(), &mut last);
        }
    }
    Ok(())
}

impl Screen {
    /// What is known at the first look.
    fn new(url: &str, first: &Reading) -> Self {
        Self {
            url: url.to_owned(),
            figures: Figures::between(first, first),
            history: History::default(),
            is_paused: false,
            has_help: false,
            fault: None,
        }
    }

    /// Does what a key stands for. `false` ends the program.
    fn press(&mut self, key: KeyEvent) -> bool {
        if key.kind == KeyEventKind::Release {
            return true;
        }
        let is_interrupt = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if is_interrupt => return false,
            KeyCode::Char('q') => return false,
            KeyCode::Esc if !self.has_help => return false,
            KeyCode::Char('p' | ' ') => self.is_paused = !self.is_paused,
            KeyCode::Char('?' | 'h') => self.has_help = !self.has_help,
            KeyCode::Esc => self.has_help = false,
            _ => {}
        }
        true
    }

    /// Shows what was read, or why nothing was.
    fn take(&mut self, read: Result<Reading>, last: &mut Reading) {
        match read {
            Ok(reading) => {
                self.figures = Figures::between(last, &reading);
                self.history.push(&self.figures);
                self.fault = None;
                *last = reading;
            }
            Err(error) => self.fault = Some(format!("{error:#}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two readings of a server that was working, and what was between them.
    const EARLIER: &str = include_str!("recorded/earlier.txt");
    const LATER: &str = include_str!("recorded/later.txt");

    fn screen() -> Screen {
        let start = Instant::now();
        let read = |text: &str, seconds| Reading {
            at: start + Duration::from_secs(seconds),
            metrics: Exposition::parse(text).unwrap(),
        };
        let (earlier, later) = (read(EARLIER, 0), read(LATER, 5));
        let mut screen = Screen::new("http://127.0.0.1:8321", &earlier);
        let mut last = earlier;
        screen.take(Ok(later), &mut last);
        screen
    }

    fn drawn(screen: &Screen) -> String {
        let backend = ratatui::backend::TestBackend::new(80, 24);
        let mut terminal = ratatui::Terminal::new(backend).unwrap();
        terminal.draw(|frame| view::draw(frame, screen)).unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn what_is_drawn_of_recorded_metrics() {
        insta::assert_snapshot!(drawn(&screen()));
    }

    #[test]
    fn what_is_printed_of_recorded_metrics() {
        let screen = screen();
        insta::assert_snapshot!(view::text(&screen.figures, &screen.url));
        insta::assert_snapshot!(serde_json::to_string_pretty(&screen.figures).unwrap());
    }

    #[test]
    fn keys_pause_explain_and_end() {
        let mut screen = screen();
        let key = |code| KeyEvent::new(code, KeyModifiers::NONE);
        assert!(screen.press(key(KeyCode::Char('p'))) && screen.is_paused);
        assert!(drawn(&screen).contains("paused"));
        assert!(screen.press(key(KeyCode::Char('?'))) && screen.has_help);
        assert!(drawn(&screen).contains("goes on"));
        assert!(screen.press(key(KeyCode::Esc)) && !screen.has_help);
        assert!(!screen.press(key(KeyCode::Char('q'))));
        assert!(!screen.press(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)));
    }

    #[test]
    fn a_server_that_goes_away_is_said_and_waited_for() {
        let mut screen = screen();
        let mut last = Reading { at: Instant::now(), metrics: Exposition::parse(LATER).unwrap() };
        screen.take(Err(anyhow::anyhow!("nothing answers")), &mut last);
        assert!(drawn(&screen).contains("nothing answers"));
    }
}
