//! When an interface is ready to carry its first frame. The topology waits for it.

use netlink_packet_route::link::{
    BridgePortState, InfoBridgePort, InfoPortData, LinkAttribute, LinkInfo, LinkMessage, State,
};

use crate::sys::InterfaceName;

/// What an interface must show before anything is sent. IFF_RUNNING comes too early: a fresh link
/// loses its first frames although it has that flag.
#[derive(Debug)]
pub(super) struct Expected {
    pub(super) name: InterfaceName,
    /// Whether its state is UP; none for a TAP, which may stay UNKNOWN for good and sends all the
    /// same.
    pub(super) operational: Option<bool>,
    /// Whether it forwards; none when no bridge holds it.
    pub(super) forwarding: Option<bool>,
}

impl Expected {
    pub(super) fn is_nothing(&self) -> bool {
        self.operational.is_none() && self.forwarding.is_none()
    }

    /// What is not as expected.
    pub(super) fn unmet(&self, link: &LinkMessage) -> Option<String> {
        let (state, port) = (operational_state(link), port_state(link));
        let operational = self.operational.is_none_or(|up| (state == Some(State::Up)) == up);
        let forwarding =
            self.forwarding.is_none_or(|on| (port == Some(BridgePortState::Forwarding)) == on);
        (!(operational && forwarding))
            .then(|| format!("{} is {state:?}, as a bridge port {port:?}", self.name))
    }
}

fn operational_state(link: &LinkMessage) -> Option<State> {
    link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::OperState(state) => Some(*state),
        _ => None,
    })
}

fn port_state(link: &LinkMessage) -> Option<BridgePortState> {
    let infos = link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::LinkInfo(infos) => Some(infos),
        _ => None,
    })?;
    let port = infos.iter().find_map(|info| match info {
        LinkInfo::PortData(InfoPortData::BridgePort(port)) => Some(port),
        _ => None,
    })?;
    port.iter().find_map(|info| match info {
        InfoBridgePort::State(state) => Some(*state),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use netlink_packet_route::link::{
        BridgePortState, InfoBridgePort, InfoPortData, LinkAttribute, LinkInfo, LinkMessage, State,
    };
    use rstest::rstest;

    use super::Expected;

    fn link(state: State, port: Option<BridgePortState>) -> LinkMessage {
        let mut link = LinkMessage::default();
        link.attributes.push(LinkAttribute::OperState(state));
        if let Some(port) = port {
            let data = InfoPortData::BridgePort(vec![InfoBridgePort::State(port)]);
            link.attributes.push(LinkAttribute::LinkInfo(vec![LinkInfo::PortData(data)]));
        }
        link
    }

    #[rstest]
    #[case(Some(true), None, link(State::Up, None), true)]
    #[case(Some(true), None, link(State::Down, None), false)]
    #[case(Some(false), None, link(State::LowerLayerDown, None), true)]
    #[case(Some(false), None, link(State::Up, None), false)]
    #[case(None, None, link(State::Unknown, None), true)]
    #[case(None, Some(true), link(State::Unknown, Some(BridgePortState::Forwarding)), true)]
    #[case(None, Some(true), link(State::Up, Some(BridgePortState::Learning)), false)]
    #[case(None, Some(false), link(State::Up, Some(BridgePortState::Disabled)), true)]
    #[case(None, Some(true), link(State::Up, None), false)]
    fn readiness(
        #[case] operational: Option<bool>,
        #[case] forwarding: Option<bool>,
        #[case] link: LinkMessage,
        #[case] ready: bool,
    ) {
        let expected = Expected { name: "l0.a".parse().unwrap(), operational, forwarding };
        assert_eq!(expected.unmet(&link).is_none(), ready);
    }
}
