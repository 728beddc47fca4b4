//! tapwright runs a *scenario*, a YAML file that says in QEMU's own words which netdevs, chardevs
//! and filters exist, what is sent and when, and compares every packet that comes out anywhere with
//! a reviewed snapshot.
//!
//! The parts, from the top down; a part imports only what stands below it (`cargo xtask arch`):
//!
//! - [`cli`]: one file for each command, and what they share: output, selection, backends.
//! - [`report`]: consumers of run events: the terminal, JSON lines, JUnit, GitHub, Markdown, HTML.
//! - [`conflict`]: which combinations of properties an object accepts.
//! - [`fuzz`]: random scenarios, and the reduction of those that fail.
//! - [`import`]: turns pasted command lines and monitor commands into a scenario.
//! - [`redirect`]: frames between interfaces and sockets of a real machine, as fast as they come.
//! - [`runner`]: selection, scheduling, deadlines, and the one executor for all backends.
//! - [`snapshot`]: the store of snapshot files: what was reviewed, and what waits for a review.
//! - [`compare`]: where two records differ, frame by frame and field by field.
//! - [`mod@format`]: the text of snapshots, written and read back.
//! - [`wording`]: what a record says, in words.
//! - [`backend`]: what runs a case: the model over memory or over real interfaces, or a real QEMU.
//! - [`machine`]: QEMU's net layer as a pure state machine.
//! - [`drawing`]: a scenario's topology and a run's ladder, as text, Mermaid, DOT and SVG.
//! - [`scenario`]: the language, from YAML to a checked case.
//! - [`guest`]: a TCP/IP stack at a port: guests that answer, clients that ask.
//! - [`reading`]: a transcript read as frames, each with its label: once a case, for all who ask.
//! - [`record`]: transcripts, as data.
//! - [`capture`]: pcap and pcapng.
//! - [`frame`]: building, reading, masking, comparing and printing packets.
//! - [`qapi`]: QEMU's option strings, ids, types of object and properties, read once.
//! - [`base`]: names, times, directions, profiles, quirks.
//! - [`file`](mod@file): files that a person or a scenario names: checked and sized before they are read.
//! - [`diag`]: codes, positions, reports.
//! - [`terminal`]: which characters of an outside text may reach a terminal, a log or a CI system.
//! - [`sys`]: the only unsafe code: TAPs, packet sockets, namespaces.
//!
//! # Examples
//! From a scenario's text to its transcript, in memory, and what a comparison says of it:
//! ```
//! use std::sync::Arc;
//!
//! use tapwright::{
//!     backend::{Backend, Deadline, Sim},
//!     compare::{self, Rules},
//!     diag::Source,
//!     format, runner, scenario,
//! };
//!
//! let text = r#"
//! description: What the guest sends comes out on the outdev too.
//! netdevs: { hn0: {} }
//! chardevs: { out0: {} }
//! objects: ["filter-mirror,id=m0,netdev=hn0,queue=rx,outdev=out0"]
//! steps:
//!   - send: hn0.guest
//!     frames: [{ ipv4: { src: 10.0.0.1, dst: 10.0.0.2 }, udp: { sport: 4000, dport: 9 }, payload: "hello" }]
//! "#;
//! let source = Arc::new(Source { path: "mirror.yaml".into(), text: text.to_owned() });
//! let scenario = scenario::parse(source, "mirror", &scenario::Disk).expect("a valid scenario");
//!
//! let case = &scenario.cases[0];
//! let world = Sim.open(case).expect("memory takes it");
//! let executed = runner::exec(case, world, "sim", &Deadline::NEVER);
//! assert!(executed.failures.is_empty());
//!
//! let transcript = format::text(&executed.reading);
//! assert!(transcript.contains("out0       <- #1"), "{transcript}");
//!
//! // Against what a person reviewed:
//! assert!(compare::compare(&transcript, &executed.reading, Rules::default()).is_none());
//! let other = transcript.replace("68656c6c6f", "68756c6c6f");
//! let mismatch = compare::compare(&other, &executed.reading, Rules::default());
//! let text = compare::render(&mismatch.expect("another payload"));
//! assert!(text.plain().contains("payload"));
//! ```

pub mod backend;
pub mod base;
pub mod capture;
pub mod cli;
pub mod compare;
pub mod conflict;
pub mod diag;
pub mod drawing;
pub mod file;
pub mod format;
pub mod frame;
pub mod fuzz;
pub mod guest;
pub mod import;
pub mod machine;
pub mod qapi;
pub mod reading;
pub mod record;
pub mod redirect;
pub mod report;
pub mod runner;
pub mod scenario;
pub mod snapshot;
pub mod sys;
pub mod terminal;
pub mod wording;
