//! Documents that are embedded by another server.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::run::Place;
use crate::server::Server;

/// A server of the embedder in `folder` of `place`.
fn embedding(place: &Place, folder: &str) -> Server {
    let elsewhere = Place::new();
    let path = place.path().join(folder);
    Server::start(&elsewhere, &["--embedder", path.to_str().unwrap()])
}

/// A project whose documents a pool of `endpoints` embeds, each an address and
/// the folder of its model, and a server of it. A model is called by its path.
fn served(place: &Place, endpoints: &[(&str, &str)]) -> Server {
    let path = place.path().join("plumb.toml");
    let settings = fs::read_to_string(&path).unwrap();
    let endpoints: String = endpoints
        .iter()
        .map(|(url, folder)| {
            let model = place.path().join(folder);
            format!("{{ url = \"{url}/v1\", model = \"{}\" }}, ", model.display())
        })
        .collect();
    let settings = format!(
        "name = \"house\"\n{settings}\n[answer]\nwording = \"quote\"\nthreshold = 0.0\n\
         [serve.pools.\"{}\"]\nendpoints = [{endpoints}]\n",
        place.path().join("one").display()
    );
    fs::write(&path, settings).unwrap();
    place.json(&["add", "docs"]);
    Server::start(place, &[])
}

/// Uploads a page, and gives the job when it has ended.
fn uploaded(server: &Server) -> Value {
    let body = "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"shed.md\"\r\n\r\n\
                # Shed\n\nThe tools are in the shed.\n\r\n--XX--\r\n";
    let request = server.agent.post(format!("{}/api/v1/documents", server.url));
    let request = request.header("content-type", "multipart/form-data; boundary=XX");
    let text = request.send(body).unwrap().body_mut().read_to_string().unwrap();
    let taken: Value = serde_json::from_str(&text).unwrap();
    let path = format!("/api/v1/jobs/{}", taken["job"]["id"].as_str().unwrap());
    let started = Instant::now();
    loop {
        let job: Value = serde_json::from_str(&server.get(&path).1).unwrap();
        let state = job["state"].as_str().unwrap();
        if !["queued", "running"].contains(&state) {
            return job;
        }
        assert!(started.elapsed() < Duration::from_mins(1), "{job}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// How many texts a server has embedded for others.
fn requests(server: &Server) -> bool {
    let (_, metrics) = server.get("/metrics");
    let counted = "plumb_requests_total{endpoint=\"/v1/embeddings\",status=\"200\"}";
    metrics.lines().any(|line| line.starts_with(counted))
}

#[test]
fn a_pool_embeds_uploads_with_the_vectors_of_the_index_whatever_another_endpoint_says() {
    let place = Place::with_documents();
    let (good, other) = (embedding(&place, "one"), embedding(&place, "two"));
    let server = served(&place, &[(&other.url, "two"), (&good.url, "one")]);
    let job = uploaded(&server);
    assert_eq!(job["state"], "done", "{job}");
    assert!(requests(&good), "it was embedded elsewhere");
    server.stop();
    // The same page, embedded here, has the same vector: it changes no score.
    let found = |place: &Place| {
        let found = place.json(&["search", "--mode", "dense", "tools in the shed"]);
        let hits = found["hits"].as_array().or(found.as_array()).unwrap().clone();
        let first = hits.iter().find(|hit| hit["uri"].as_str().unwrap().ends_with("shed.md"));
        first.unwrap()["score"].clone()
    };
    let here = Place::with_documents();
    here.write("docs/shed.md", "# Shed\n\nThe tools are in the shed.\n");
    here.json(&["add", "docs"]);
    assert_eq!(found(&place), found(&here));
}

#[test]
fn a_pool_of_another_model_embeds_nothing_and_the_job_says_why() {
    let place = Place::with_documents();
    let other = embedding(&place, "two");
    let server = served(&place, &[(&other.url, "two")]);
    let job = uploaded(&server);
    assert_eq!(job["state"], "failed", "{job}");
    let error = job["error"].as_str().unwrap();
    for part in ["/one` could not embed the documents", &other.url, "another model"] {
        assert!(error.contains(part), "{error}");
    }
    assert!(!server.get("/api/v1/documents").1.contains("shed.md"));
}
