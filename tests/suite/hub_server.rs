//! A hub of the tests' own: it drops, redirects, lies and falls silent as a test wants it.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What the server does with the next request.
#[derive(Clone)]
pub(crate) enum Answer {
    /// The content from the byte asked for on, cut after so many bytes.
    Content { at_most: usize },
    /// The whole content whatever was asked for.
    Whole,
    /// So many other bytes.
    Lie(usize),
    /// A status with a header, and nothing else.
    Status(u16, String),
    /// The content, cut after so many bytes; then nothing, and the connection stays.
    Silence { after: usize },
    /// Nothing: the connection is closed.
    Nothing,
    /// The content with a byte more than was announced to be published.
    TooLong,
}

#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) range: Option<String>,
    pub(crate) token: Option<String>,
}

/// A server that answers by a script, and with the content when the script is at its end.
pub(crate) struct Server {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    pub(crate) fn start(content: &[u8], script: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let mut script: VecDeque<_> = script.into_iter().collect();
        let (content, seen) = (content.to_vec(), Arc::clone(&asked));
        // It lives as long as the test's process; nothing waits for it.
        std::thread::Builder::new()
            .name("hub".into())
            .spawn(move || {
                let mut held = Vec::new();
                for stream in listener.incoming() {
                    let stream = stream.unwrap();
                    let next = script.pop_front();
                    let next = next.unwrap_or(Answer::Content {
                        at_most: usize::MAX,
                    });
                    if matches!(next, Answer::Silence { .. }) {
                        held.push(stream.try_clone().unwrap());
                    }
                    // A client that goes away early is part of some tests.
                    answer(stream, &next, &content, &seen).ok();
                }
            })
            .unwrap();
        Self { url, asked }
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

fn answer(
    stream: TcpStream,
    answer: &Answer,
    content: &[u8],
    seen: &Mutex<Vec<Asked>>,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().unwrap_or(Ok(String::new()))?;
    let mut asked = Asked {
        path: request.split(' ').nth(1).unwrap_or_default().to_owned(),
        range: None,
        token: None,
    };
    for line in lines {
        let line = line?;
        match line.split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("range") => {
                asked.range = Some(value.to_owned());
            }
            Some((name, value)) if name.eq_ignore_ascii_case("authorization") => {
                asked.token = Some(value.to_owned());
            }
            Some(_) => {}
            None => break,
        }
    }
    let from = asked.range.as_ref().map_or(0, |range| {
        let digits = range.trim_start_matches("bytes=").trim_end_matches('-');
        digits.parse::<usize>().unwrap()
    });
    seen.lock().unwrap().push(asked);
    let mut out = stream;
    let mut send = |status: &str, announced: usize, body: &[u8]| {
        write!(
            out,
            "HTTP/1.1 {status}\r\nContent-Length: {announced}\r\nConnection: close\r\n\r\n"
        )?;
        out.write_all(body)
    };
    match answer {
        Answer::Content { at_most } | Answer::Silence { after: at_most } => {
            let rest = &content[from.min(content.len())..];
            let body = &rest[..rest.len().min(*at_most)];
            let status = if from == 0 {
                "200 OK".to_owned()
            } else {
                let (last, all) = (content.len() - 1, content.len());
                format!("206 Partial Content\r\nContent-Range: bytes {from}-{last}/{all}")
            };
            send(&status, rest.len(), body)
        }
        Answer::Whole => send("200 OK", content.len(), content),
        Answer::Lie(length) => send("200 OK", *length, &vec![b'?'; *length]),
        Answer::Status(status, header) => send(&format!("{status} As Asked\r\n{header}"), 0, b""),
        Answer::Nothing => Ok(()),
        Answer::TooLong => {
            let body = [content, b"!"].concat();
            write!(out, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            out.write_all(&body)
        }
    }
}
