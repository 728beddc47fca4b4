//! Pictures of scenarios and of runs, as pure functions of data.
//!
//! - [`Topology`]: what a case declares and how it is joined, the one model that [`text`],
//!   [`mermaid`], [`dot`] and [`svg`] render from.
//! - [`Ladder`]: the packets of a run over ports and steps, and [`ladder`], its SVG.

mod declared;
mod dot;
mod geometry;
mod ladder;
mod layout;
mod markup;
mod mermaid;
mod network;
mod object;
mod place;
mod svg;
mod text;
mod topology;

#[cfg(test)]
mod tests;

pub use dot::dot;
pub use ladder::{Hit, HitKind, Ladder, Row, ladder};
pub use mermaid::mermaid;
pub use svg::{Picture, STYLE, svg, symbol};
pub use text::text;
pub use topology::{
    Bridge, Chain, Chardev, End, Far, Filtered, Joint, JointKind, Machine, Network, Object, Port,
    Topology, Way, Wire, WireKind,
};
