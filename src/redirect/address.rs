//! A chardev as it is written on the command line: QEMU's short form of a socket,
//! `unix:PATH[,OPTION...]` or `tcp:HOST:PORT[,OPTION...]`, its options read as QEMU reads them.

use std::{
    fmt,
    net::{SocketAddr, ToSocketAddrs},
    path::PathBuf,
    time::Duration,
};

use super::RedirectError;
use crate::{
    machine::alone::{SocketOptions, socket_options},
    qapi::Options,
};

/// A socket, and which side of it this is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chardev {
    pub(super) address: Address,
    pub(super) server: bool,
    /// After how long a client tries again; never where there is none.
    pub(super) reconnect: Option<Duration>,
    /// As it was written, for messages.
    text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    Unix(PathBuf),
    /// What the name stood for when the command began.
    Tcp(Vec<SocketAddr>),
}

impl Chardev {
    /// Reads the short form.
    ///
    /// # Errors
    /// [`RedirectError::Chardev`] for another form or an address that there is none of;
    /// [`RedirectError::Refused`] for what QEMU refuses of the options.
    pub fn read(text: &str) -> Result<Self, RedirectError> {
        let bad = |reason: &str| RedirectError::Chardev {
            text: text.to_owned(),
            reason: reason.to_owned(),
        };
        let (address, mut options) = match text.split_once(':') {
            Some(("unix", rest)) => {
                let options = Options::read(rest, PATH);
                let path = options.get(PATH).filter(|path| !path.is_empty());
                (Address::Unix(path.ok_or_else(|| bad("there is no path"))?.into()), options)
            }
            Some(("tcp", rest)) => {
                let options = Options::read(rest, PATH);
                let host = options.get(PATH).unwrap_or_default();
                let found = host.to_socket_addrs().map_err(|error| bad(&error.to_string()))?;
                let found: Vec<SocketAddr> = found.collect();
                if found.is_empty() {
                    return Err(bad("the name has no address"));
                }
                (Address::Tcp(found), options)
            }
            _ => return Err(bad("it begins with neither unix: nor tcp:")),
        };
        options.remove(PATH);
        let refused = |refusal| RedirectError::Refused { refusal };
        let SocketOptions { server, reconnect } = socket_options(&options).map_err(refused)?;
        if server && options.is_on("wait") {
            return Err(bad("wait=on: nothing here waits for a client"));
        }
        Ok(Self { address, server, reconnect, text: text.to_owned() })
    }
}

/// The key under which the address in front of the options is read.
const PATH: &str = "path";

impl fmt::Display for Chardev {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("unix:/a/b", "/a/b", false, None)]
    #[case("unix:/a,,b,server", "/a,b", true, None)]
    #[case("unix:/a,server=on,wait=off", "/a", true, None)]
    #[case("unix:/a,server,nowait", "/a", true, None)]
    #[case("unix:/a,reconnect=2", "/a", false, Some(2000))]
    #[case("unix:/a,reconnect-ms=50", "/a", false, Some(50))]
    #[case("unix:/a,reconnect=0", "/a", false, None)]
    fn unix_sockets(
        #[case] text: &str,
        #[case] path: &str,
        #[case] server: bool,
        #[case] reconnect: Option<u64>,
    ) {
        let chardev = Chardev::read(text).unwrap();
        assert_eq!(chardev.address, Address::Unix(path.into()));
        assert_eq!(chardev.server, server);
        assert_eq!(chardev.reconnect, reconnect.map(Duration::from_millis));
    }

    #[rstest]
    #[case("tcp:127.0.0.1:9003", "127.0.0.1:9003")]
    #[case("tcp:[::1]:9003,server,nowait", "[::1]:9003")]
    fn tcp_sockets(#[case] text: &str, #[case] address: &str) {
        let chardev = Chardev::read(text).unwrap();
        assert_eq!(chardev.address, Address::Tcp(vec![address.parse().unwrap()]));
    }

    #[rstest]
    #[case("pty", "it begins with neither unix: nor tcp:")]
    #[case("unix:", "there is no path")]
    #[case("tcp:127.0.0.1", "invalid socket address")]
    #[case("unix:/a,server=x", "Parameter 'server' expects 'on' or 'off'")]
    #[case("unix:/a,color=red", "Invalid parameter 'color'")]
    #[case("unix:/a,server,wait", "wait=on")]
    #[case(
        "unix:/a,server,reconnect=1",
        "'reconnect' option is incompatible with socket in server listen mode"
    )]
    #[case(
        "unix:/a,reconnect=1,reconnect-ms=1",
        "'reconnect' and 'reconnect-ms' are mutually exclusive"
    )]
    fn what_is_refused(#[case] text: &str, #[case] reason: &str) {
        let error = Chardev::read(text).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}
