//! The tree of one case to its checked form.

mod bytes;
mod capture;
mod chardev;
mod declared;
mod expect;
mod frame;
mod growth;
mod host;
mod join;
mod machine;
mod migrate;
mod netdev;
mod object;
mod port;
mod root;
mod send;
mod service;
mod stack;
mod step;
mod traffic;
mod transport;

pub(super) use root::case;
