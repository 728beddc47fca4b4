//! Where interfaces come from.

use tapwright::{
    backend::{builtin::Carrier, netns::NetnsCarrier, sim::SimCarrier},
    scenario::Case,
    sys::Isolated,
};

/// The kernel, or the model of it.
pub(crate) enum Lab {
    Netns(Isolated),
    Sim,
}

impl Lab {
    pub(crate) fn open(&self, case: &Case) -> Box<dyn Carrier> {
        match self {
            Self::Netns(isolated) => Box::new(NetnsCarrier::open(isolated, case).unwrap()),
            Self::Sim => Box::new(SimCarrier::new(case)),
        }
    }
}
