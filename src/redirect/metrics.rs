//! The counters on a unix socket, as Prometheus reads them over HTTP: `GET /metrics`. Few clients at a
//! time, each for a short time, so that nobody can hold more of the process than that.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    unistd::{read, write},
};

use super::link::Listener;

/// A socket and those who ask there.
#[derive(Debug)]
pub(super) struct Metrics {
    listener: Listener,
    clients: Vec<Client>,
}

/// Who asks, and what of the request has come.
#[derive(Debug)]
struct Client {
    fd: OwnedFd,
    request: Vec<u8>,
    until: Instant,
}

/// Clients at a time; the next one waits in the backlog.
const CLIENTS: usize = 8;

/// Bytes of a request, of which the first line counts.
const LONGEST: usize = 4096;

/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(5);

impl Metrics {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { listener: Listener::unix(path)?, clients: Vec::new() })
    }

    /// What to wait for to be readable: the clients, then the listener, while there is room for
    /// another one.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let listener = (self.clients.len() < CLIENTS).then(|| self.listener.as_fd());
        self.clients.iter().map(|client| client.fd.as_fd()).chain(listener)
    }

    /// When the first client has taken too long.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.clients.iter().map(|client| client.until).min()
    }

    /// Takes new clients, and answers those whose request is complete. What a client does wrong ends
    /// its own connection.
    pub(super) fn serve(&mut self, now: Instant, text: &str) {
        self.clients.retain_mut(|client| client.until > now && client.goes_on(text));
        while self.clients.len() < CLIENTS {
            let Ok(Some(fd)) = self.listener.accept() else {
                return;
            };
            let mut client = Client { fd, request: Vec::new(), until: now + PATIENCE };
            if client.goes_on(text) {
                self.clients.push(client);
            }
        }
    }
}

impl Client {
    /// Reads what has come and answers what is complete; whether there is more to come.
    fn goes_on(&mut self, text: &str) -> bool {
        let mut piece = [0; LONGEST];
        loop {
            match read(&self.fd, &mut piece) {
                Ok(0) => return false,
                Ok(count) => self.request.extend_from_slice(&piece[..count]),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return self.request.len() < LONGEST,
                Err(_) => return false,
            }
            if self.request.len() > LONGEST {
                return false;
            }
            if is_complete(&self.request) {
                // It fits into a fresh socket; who has gone again wants no answer.
                let _ = write(&self.fd, answer(&self.request, text).as_bytes());
                return false;
            }
        }
    }
}

/// Whether the empty line behind a request's head has come.
fn is_complete(request: &[u8]) -> bool {
    request.windows(4).any(|end| end == b"\r\n\r\n") || request.windows(2).any(|end| end == b"\n\n")
}

fn answer(request: &[u8], text: &str) -> String {
    let line = request.split(|byte| byte.is_ascii_control()).next().unwrap_or_default();
    let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let (status, body) = match words.as_slice() {
        [b"GET", b"/metrics", ..] => ("200 OK", text.to_owned()),
        [b"GET", ..] => ("404 Not Found", "the counters are at /metrics\n".to_owned()),
        _ => ("405 Method Not Allowed", "GET /metrics\n".to_owned()),
    };
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\n")]
    #[case("GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 404 Not Found\r\n")]
    #[case("POST /metrics HTTP/1.1\r\n\r\n", "HTTP/1.1 405 Method Not Allowed\r\n")]
    fn answers(#[case] request: &str, #[case] status: &str) {
        assert!(is_complete(request.as_bytes()));
        assert!(!is_complete(&request.as_bytes()[..request.len() - 2]));
        let answer = answer(request.as_bytes(), "a 1\n");
        assert!(answer.starts_with(status), "{answer}");
        assert_eq!(
            answer.ends_with("Content-Length: 4\r\nConnection: close\r\n\r\na 1\n"),
            status.contains("200")
        );
    }
}
