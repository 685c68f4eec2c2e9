//! A real server on loopback, and clients that speak to it: a well-behaved one and a raw one.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use orfeas::engine::{self, Engine, Ledger, Library};
use orfeas::server::{self, Config, Limits, Server};
use orfeas::store::{self, Folders, Store};
use serde_json::Value;

use crate::pictures;

/// How long anything may take before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A server with its engine.
pub(crate) struct Running {
    server: Option<Server>,
    pub(crate) engine: Arc<Engine>,
    pub(crate) address: SocketAddr,
    agent: ureq::Agent,
}

/// What differs from a default server.
#[derive(Default)]
pub(crate) struct Wish {
    pub(crate) limits: Limits,
    pub(crate) token: Option<&'static str>,
    pub(crate) cors_origins: Vec<&'static str>,
    pub(crate) requests_per_minute: Option<u32>,
    pub(crate) queue_limit: Option<usize>,
    pub(crate) memory_bytes: Option<u64>,
    /// The folder of cache and history; without one nothing is kept on disk.
    pub(crate) store: Option<PathBuf>,
    /// The models on this machine.
    pub(crate) library: Library,
}

impl Wish {
    pub(crate) fn start(self) -> Running {
        let engine = Engine::start(engine::Config {
            queue_limit: self.queue_limit.unwrap_or(64),
            ledger: self
                .memory_bytes
                .map_or_else(Ledger::unlimited, Ledger::with_budget),
            store: self.store.as_deref().map(open_store),
            library: self.library,
            ..engine::Config::default()
        })
        .unwrap();
        let engine = Arc::new(engine);
        let config = Config {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            token: self.token.map(str::to_owned),
            cors_origins: self.cors_origins.into_iter().map(str::to_owned).collect(),
            requests_per_minute: self.requests_per_minute.and_then(NonZeroU32::new),
            limits: self.limits,
            ..Config::default()
        };
        let server = server::start(Arc::clone(&engine), config).unwrap();
        Running {
            address: server.address(),
            server: Some(server),
            engine,
            agent: agent(),
        }
    }
}

pub(crate) fn open_store(folder: &Path) -> Store {
    let folders = Folders {
        cache: folder.to_owned(),
        data: folder.to_owned(),
    };
    Store::open(&folders, store::Limits::default()).unwrap()
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(PATIENCE))
        .build()
        .into()
}

/// An answer, whoever read it.
#[derive(Debug)]
pub(crate) struct Answer {
    /// 0 where the connection was closed without one.
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.text()))
    }

    /// The status and the code of the error.
    pub(crate) fn refusal(&self) -> (u16, String) {
        let json = self.json();
        let code = json["error"]["code"].as_str();
        let message = json["error"]["message"].as_str();
        assert!(
            message.is_some_and(|message| message.len() > 10),
            "an error without a message: {json}"
        );
        (self.status, code.unwrap_or_default().to_owned())
    }

    fn of(response: ureq::http::Response<ureq::Body>) -> Self {
        let (head, mut body) = response.into_parts();
        let mut bytes = Vec::new();
        body.as_reader().read_to_end(&mut bytes).unwrap();
        let header = |(name, value): (&ureq::http::HeaderName, &ureq::http::HeaderValue)| {
            (
                name.to_string(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        };
        Self {
            status: head.status.as_u16(),
            headers: head.headers.iter().map(header).collect(),
            body: bytes,
        }
    }
}

impl Running {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        Answer::of(self.agent.get(self.url(path)).call().unwrap())
    }

    pub(crate) fn get_with(&self, path: &str, name: &str, value: &str) -> Answer {
        let request = self.agent.get(self.url(path)).header(name, value);
        Answer::of(request.call().unwrap())
    }

    pub(crate) fn delete(&self, path: &str) -> Answer {
        Answer::of(self.agent.delete(self.url(path)).call().unwrap())
    }

    pub(crate) fn post(&self, path: &str, form: &Form) -> Answer {
        let (content_type, body) = form.encode();
        let request = self
            .agent
            .post(self.url(path))
            .header("Content-Type", content_type);
        Answer::of(request.send(&body).unwrap())
    }

    /// A request to do something, without a body.
    pub(crate) fn act(&self, path: &str) -> Answer {
        Answer::of(self.agent.post(self.url(path)).send_empty().unwrap())
    }

    /// Submits without waiting; the job's id.
    pub(crate) fn submit(&self, form: Form) -> String {
        let answer = self.post("/api/v1/generate", &form.text("wait", "false"));
        assert_eq!(answer.status, 202, "{}", answer.text());
        id_of(&answer.json())
    }

    /// The job once its status is one of those given.
    pub(crate) fn wait_for(&self, id: &str, statuses: &[&str]) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let job = self.get(&format!("/api/v1/jobs/{id}")).json();
            if statuses.contains(&job["status"].as_str().unwrap()) {
                return job;
            }
            assert!(Instant::now() < deadline, "{job} never was {statuses:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends bytes as they are, ends the sending side if asked, and reads what comes back.
    pub(crate) fn raw(&self, request: &[u8]) -> Answer {
        raw(self.address, request)
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// The objects of a progressive answer, one a line, those that only keep the connection alive left out.
    pub(crate) fn progress(&self, form: &Form) -> Vec<Value> {
        let text = self.post("/api/v1/generate-progressive", form).text();
        let lines = text.lines().filter(|line| !line.is_empty());
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    pub(crate) fn stop(mut self, patience: Duration) {
        self.server.take().unwrap().stop(patience);
    }

    pub(crate) fn begin_stop(&self, patience: Duration) {
        self.server
            .as_ref()
            .unwrap()
            .stopper()
            .stop_within(patience);
    }
}

pub(crate) fn id_of(job: &Value) -> String {
    job["id"].as_str().unwrap().to_owned()
}

pub(crate) fn raw(address: SocketAddr, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // A server that has heard enough may close before everything is sent.
    stream.write_all(request).ok();
    read_answer(&mut stream)
}

/// Reads to the end of the connection.
pub(crate) fn read_answer(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    // A reset after the answer loses nothing of it.
    stream.read_to_end(&mut bytes).ok();
    parse(&bytes)
}

fn parse(bytes: &[u8]) -> Answer {
    let end = bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap_or(bytes.len());
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.lines();
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1)?.parse().ok())
        .unwrap_or(0);
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    Answer {
        status,
        headers,
        body: bytes[(end + 4).min(bytes.len())..].to_vec(),
    }
}

/// A form, its fields in order.
#[derive(Default, Clone)]
pub(crate) struct Form(Vec<(String, Option<String>, Vec<u8>)>);

pub(crate) const BOUNDARY: &str = "orfeas-test-boundary";

impl Form {
    /// A form with a small picture that takes a moment.
    pub(crate) fn small() -> Self {
        Self::default()
            .file("image", "disc.png", &pictures::disc_png(48))
            .text("resolution", "32")
    }

    /// A form with a picture that takes a while.
    pub(crate) fn long() -> Self {
        Self::default()
            .file("image", "large.png", &pictures::disc_png(700))
            .text("resolution", "512")
    }

    pub(crate) fn text(mut self, name: &str, value: &str) -> Self {
        self.0
            .push((name.to_owned(), None, value.as_bytes().to_vec()));
        self
    }

    pub(crate) fn file(mut self, name: &str, file_name: &str, bytes: &[u8]) -> Self {
        let file_name = Some(file_name.to_owned());
        self.0.push((name.to_owned(), file_name, bytes.to_vec()));
        self
    }

    /// The content type and the body.
    pub(crate) fn encode(&self) -> (String, Vec<u8>) {
        let mut body = Vec::new();
        for (name, file_name, value) in &self.0 {
            let file_name = file_name
                .as_ref()
                .map_or_else(String::new, |name| format!("; filename=\"{name}\""));
            body.extend_from_slice(
                format!(
                    "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"{file_name}\r\n\r\n"
                )
                .as_bytes(),
            );
            body.extend_from_slice(value);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
        (format!("multipart/form-data; boundary={BOUNDARY}"), body)
    }

    /// The whole request as bytes.
    pub(crate) fn request(&self, path: &str, more_headers: &str) -> Vec<u8> {
        let (content_type, body) = self.encode();
        let mut request = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: {content_type}\r\n\
             Content-Length: {}\r\n{more_headers}\r\n",
            body.len()
        )
        .into_bytes();
        request.extend(body);
        request
    }
}
