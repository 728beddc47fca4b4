//! The namespaces of a case, entered and named. The topology asks in which of them an interface is
//! made.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
    path::PathBuf,
};

use super::{
    fingerprint::{Drops, Fingerprint},
    network::{Network, NetworkError, bad_environment},
};
use crate::{
    backend::BackendError,
    sys::{
        InterfaceName, Isolated, Namespace, NamespaceError, NamespaceFile, enter_fresh,
        enter_fresh_links,
    },
};

/// Where an interface lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum NamespaceId {
    /// The case's own namespace, the one that its thread is in.
    Own,
    /// One of its extra namespaces.
    Extra(usize),
}

#[derive(Debug)]
pub(super) struct Namespaces {
    /// Dropped before the namespaces: a connection keeps the one it was opened in.
    own: Option<Network>,
    /// The own namespace, where it may be entered again.
    file: Option<NamespaceFile>,
    extra: Vec<Namespace>,
    isolated: Isolated,
}

/// Linux 6.18 `include/net/net_namespace.h`: `lo` is always the first.
const LOOPBACK_INDEX: u32 = 1;

impl Namespaces {
    /// Moves the calling thread to a fresh namespace and makes the extra ones; each has its `lo`
    /// up. In one of `links_only` no interface will ever have an address.
    pub(super) fn enter(
        isolated: &Isolated,
        names: &[String],
        links_only: bool,
    ) -> Result<Self, BackendError> {
        let enter = if links_only { enter_fresh_links } else { enter_fresh };
        enter(isolated).map_err(no_namespace)?;
        let mut own = Network::open(isolated)?;
        own.set_up_soon(LOOPBACK_INDEX, true);
        let extra: Vec<Namespace> = names
            .iter()
            .map(|name| Namespace::create(isolated, name).map_err(no_namespace))
            .collect::<Result<_, _>>()?;
        let isolated = isolated.clone();
        let mut namespaces = Self { own: Some(own), file: None, extra, isolated };
        for at in 0..namespaces.extra.len() {
            namespaces
                .network(NamespaceId::Extra(at), |network| network.set_up(LOOPBACK_INDEX, true))?;
        }
        Ok(namespaces)
    }

    /// No namespaces.
    pub(super) fn nothing(&self) -> Self {
        Self { own: None, file: None, extra: Vec::new(), isolated: self.isolated.clone() }
    }

    /// Moves the calling thread to the own namespace, in which another thread has been.
    pub(super) fn enter_again(&self) -> io::Result<()> {
        self.file.as_ref().ok_or(io::ErrorKind::NotConnected)?.enter()
    }

    /// Makes the own namespace one that may be entered again. The calling thread is in it.
    pub(super) fn hold(&mut self) -> io::Result<()> {
        self.file = Some(NamespaceFile::current(&self.isolated)?);
        Ok(())
    }

    /// What is told of the own namespace, in which the calling thread is.
    pub(super) fn fingerprint(&self) -> io::Result<(Fingerprint, Drops)> {
        let network = self.own.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        Fingerprint::take(&self.isolated, network.netlink())
    }

    /// The proof that all of this is private.
    pub(super) fn isolated(&self) -> &Isolated {
        &self.isolated
    }

    /// The namespace of this name; none for the case's own.
    pub(super) fn of(&self, name: Option<&str>) -> Result<NamespaceId, BackendError> {
        let Some(name) = name else {
            return Ok(NamespaceId::Own);
        };
        let at = self.extra.iter().position(|namespace| namespace.name() == name);
        at.map(NamespaceId::Extra).ok_or_else(|| {
            bad_environment("TW-N007", format!("there is no namespace '{name}' in `namespaces`"))
        })
    }

    /// The name of a namespace in the scenario; none for the case's own.
    pub(super) fn name(&self, namespace: NamespaceId) -> Option<String> {
        match namespace {
            NamespaceId::Own => None,
            NamespaceId::Extra(at) => Some(self.extra.get(at)?.name().to_owned()),
        }
    }

    /// The extra namespaces, and where they are mounted.
    pub(super) fn mounts(&self) -> Vec<(String, PathBuf)> {
        let mounts = self.extra.iter().filter_map(|namespace| {
            let path = namespace.path()?.to_owned();
            Some((namespace.name().to_owned(), path))
        });
        mounts.collect()
    }

    /// Does something over netlink there: the own namespace's connection is kept, another's lives
    /// for this work only, and then carries out what was to be asked for soon.
    pub(super) fn network<T: Send>(
        &mut self,
        namespace: NamespaceId,
        work: impl FnOnce(&mut Network) -> Result<T, NetworkError> + Send,
    ) -> Result<T, BackendError> {
        Ok(match namespace {
            NamespaceId::Own => {
                let network = self.own.as_mut().ok_or_else(|| closed("netlink"))?;
                work(network)?
            }
            NamespaceId::Extra(_) => {
                let isolated = self.isolated.clone();
                self.inside(namespace, || {
                    let mut network = Network::open(&isolated)?;
                    let done = work(&mut network)?;
                    network.flush().map(|()| done)
                })??
            }
        })
    }

    /// Does something in a namespace: on the calling thread, or on one that lives for this only.
    pub(super) fn inside<T: Send>(
        &self,
        namespace: NamespaceId,
        work: impl FnOnce() -> T + Send,
    ) -> Result<T, BackendError> {
        match namespace {
            NamespaceId::Own => Ok(work()),
            NamespaceId::Extra(at) => {
                let namespace = self.extra.get(at).ok_or_else(|| closed("a namespace"))?;
                namespace.inside(work).map_err(no_namespace)
            }
        }
    }

    /// Makes a pair of joined interfaces, each in its namespace.
    pub(super) fn add_veth(
        &self,
        [(a, a_place), (b, b_place)]: [(&InterfaceName, NamespaceId); 2],
    ) -> Result<(), BackendError> {
        let network = self.own.as_ref().ok_or_else(|| closed("netlink"))?;
        Ok(network.add_veth([(a, self.descriptor(a_place)), (b, self.descriptor(b_place))])?)
    }

    fn descriptor(&self, namespace: NamespaceId) -> Option<BorrowedFd<'_>> {
        match namespace {
            NamespaceId::Own => None,
            NamespaceId::Extra(at) => self.extra.get(at).map(Namespace::as_fd),
        }
    }

    /// Ends the connection, then removes the names of the extra namespaces.
    pub(super) fn leave(&mut self) -> Vec<String> {
        self.own = None;
        let removed = self.extra.drain(..).map(Namespace::remove);
        removed.filter_map(|removed| removed.err().map(|error| error.to_string())).collect()
    }
}

fn no_namespace(error: NamespaceError) -> BackendError {
    BackendError::System { what: "namespaces".to_owned(), source: io::Error::other(error) }
}

fn closed(what: &str) -> BackendError {
    BackendError::System {
        what: format!("{what} of a case that is finished"),
        source: io::ErrorKind::NotConnected.into(),
    }
}
