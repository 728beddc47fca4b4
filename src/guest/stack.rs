//! A TCP/IP stack at a port, around smoltcp, without a clock or a network of its own. Worlds give
//! it frames and the time.

use std::net::SocketAddrV4;

use bytes::Bytes;
use smoltcp::{
    iface::{self, Interface, PollResult, SocketHandle, SocketSet},
    socket::tcp,
    wire::{EthernetAddress, IpCidr, Ipv4Cidr},
};

use super::{
    Call, Config, Outcome, Service,
    clock::{StackTime, stack_time, virtual_time},
    device::Card,
    exchange::Exchange,
    service::Conversation,
};
use crate::base::{MacAddr, VirtualTime};

/// Bytes in front of a TCP segment: Ethernet, IPv4 and TCP headers without options.
const HEADERS: usize = 14 + 20 + 20;

/// The first local port of a client; the next connection has the next one (RFC 6335, 6: the
/// dynamic ports).
const FIRST_PORT: u16 = 49_152;

/// An interface with an address, its services, and the connections that it opened itself.
pub struct Stack {
    config: Config,
    card: Card,
    interface: Interface,
    sockets: SocketSet<'static>,
    /// The socket of each service that waits for the next connection.
    listening: Vec<(SocketHandle, Service)>,
    /// Connections that services serve, in the order in which they came.
    conversations: Vec<(SocketHandle, Conversation)>,
    /// Connections that were opened here and the addresses they lead to, the newest last.
    opened: Vec<(SocketAddrV4, SocketHandle)>,
    opened_count: u16,
    exchange: Option<Exchange>,
    /// Something came in or was asked for since the last poll.
    stirred: bool,
    deadline: Option<VirtualTime>,
    /// What was done to it, where a twin may be asked for.
    deeds: Option<Vec<Deed>>,
}

/// Something that was done to a stack.
#[derive(Clone)]
enum Deed {
    Receive(Bytes),
    Call(Call),
    HangUp(String),
    Poll(VirtualTime),
}

impl std::fmt::Debug for Stack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stack").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Stack {
    /// A stack whose services listen. Its addresses must be unicast.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let mut card = Card::new(usize::from(config.mss) + HEADERS);
        let mut settings = iface::Config::new(EthernetAddress(config.mac.0).into());
        settings.random_seed = config.isn_seed;
        let mut interface = Interface::new(settings, &mut card, StackTime::ZERO);
        interface.update_ip_addrs(|addresses| {
            let address = Ipv4Cidr::new(config.address, config.prefix.min(32));
            // There is room for two.
            let _ = addresses.push(IpCidr::Ipv4(address));
        });
        let mut stack = Self {
            card,
            interface,
            sockets: SocketSet::new(Vec::new()),
            listening: Vec::new(),
            conversations: Vec::new(),
            opened: Vec::new(),
            opened_count: 0,
            exchange: None,
            stirred: false,
            deadline: None,
            deeds: None,
            config,
        };
        for service in stack.config.services.clone() {
            stack.listen(service);
        }
        stack
    }

    /// Keeps in mind from now on what is done to it, every frame that it gets, so that it can have
    /// a twin. To be asked for before anything is done.
    pub fn remember(&mut self) {
        self.deeds.get_or_insert_default();
    }

    /// Another stack in the same state, as a machine's memory copied to another machine; none where
    /// this one does not remember how it came there. Both choose the same sequence numbers from
    /// then on while they do the same.
    ///
    /// A stack is nothing but what was done to it: the twin does it all again, which takes as long
    /// as it took this one.
    #[must_use]
    pub fn twin(&self) -> Option<Self> {
        let deeds = self.deeds.as_ref()?;
        let mut twin = Self::new(self.config.clone());
        twin.remember();
        for deed in deeds.iter().cloned() {
            match deed {
                Deed::Receive(frame) => twin.receive(frame),
                Deed::Call(call) => twin.call(call),
                Deed::HangUp(within) => drop(twin.hang_up(within)),
                // These frames were sent by this stack.
                Deed::Poll(now) => drop(twin.poll(now)),
            }
        }
        Some(twin)
    }

    /// The frame by which a guest announces its address: a gratuitous ARP request (RFC 5227, 3; Linux
    /// 6.18 `net/ipv4/devinet.c`, `inetdev_send_gratuitous_arp`).
    #[must_use]
    pub fn announcement(&self) -> Bytes {
        /// Ethernet, IPv4, lengths of their addresses, a request.
        const HEAD: [u8; 10] = [8, 6, 0, 1, 8, 0, 6, 4, 0, 1];
        let (own, ip) = (self.config.mac.0, self.config.address.octets());
        [&MacAddr::BROADCAST.0[..], &own, &HEAD, &own, &ip, &[0; 6], &ip].concat().into()
    }

    fn note(&mut self, deed: impl FnOnce() -> Deed) {
        if let Some(deeds) = &mut self.deeds {
            deeds.push(deed());
        }
    }

    pub fn receive(&mut self, frame: Bytes) {
        self.note(|| Deed::Receive(frame.clone()));
        self.card.received.push_back(frame);
        self.stirred = true;
    }

    /// Begins an exchange, over the connection that is open to the same address, otherwise over a
    /// new one. One exchange is on its way at a time; a second takes the place of the first.
    pub fn call(&mut self, call: Call) {
        self.note(|| Deed::Call(call.clone()));
        let to_the_same = |(to, _): &&(SocketAddrV4, _)| *to == call.to;
        let newest = self.opened.iter().rev().find(to_the_same);
        let open = newest.map(|(_, handle)| *handle).filter(|handle| {
            self.sockets.get::<tcp::Socket<'_>>(*handle).state() == tcp::State::Established
        });
        let handle = open.unwrap_or_else(|| self.connect(call.to));
        let state = self.sockets.get::<tcp::Socket<'_>>(handle).state();
        self.exchange = Some(Exchange::new(handle, call, state));
        self.stirred = true;
    }

    /// The result of the exchange, once there is one.
    #[must_use]
    pub fn outcome(&self) -> Option<&Outcome> {
        self.exchange.as_ref()?.outcome.as_ref()
    }

    /// Ends the exchange and returns its result, or that it did not end in time; the time is given
    /// in words, `within 3s`. A connection that failed is given up with a reset, but for one that
    /// was to stay open and ran out of time: a later call may go on with it.
    pub fn hang_up(&mut self, within: String) -> Option<Outcome> {
        self.note(|| Deed::HangUp(within.clone()));
        let mut exchange = self.exchange.take()?;
        let socket = self.sockets.get_mut(exchange.handle);
        let outcome = exchange.give_up(socket, within);
        self.stirred = true;
        Some(outcome)
    }

    /// When it next acts of its own accord: an acknowledgement that waits, a segment to be sent
    /// again. Nothing is due before its time.
    #[must_use]
    pub const fn deadline(&self) -> Option<VirtualTime> {
        self.deadline
    }

    /// Whether it has something to do now.
    #[must_use]
    pub fn is_due(&self, now: VirtualTime) -> bool {
        self.stirred || self.deadline.is_some_and(|due| due <= now)
    }

    /// Does everything that is to be done now, and gives the frames that it sends.
    #[must_use]
    pub fn poll(&mut self, now: VirtualTime) -> Vec<Bytes> {
        self.note(|| Deed::Poll(now));
        let time = stack_time(now);
        loop {
            let polled = self.interface.poll(time, &mut self.card, &mut self.sockets);
            let moved = self.serve();
            if polled == PollResult::None && !moved {
                break;
            }
        }
        self.stirred = false;
        self.forget_closed();
        // What is due now and was not done can't be done: it waits for a frame.
        self.deadline =
            self.interface.poll_at(time, &self.sockets).map(virtual_time).filter(|due| *due > now);
        std::mem::take(&mut self.card.sent)
    }

    /// Lets services and the exchange go on; whether any did.
    fn serve(&mut self) -> bool {
        let mut moved = false;
        let waiting = std::mem::take(&mut self.listening);
        for (handle, service) in waiting {
            let socket: &tcp::Socket<'_> = self.sockets.get(handle);
            if socket.is_active() {
                let conversation = Conversation::new(service.kind.clone());
                self.conversations.push((handle, conversation));
                self.listen(service);
                moved = true;
            } else {
                self.listening.push((handle, service));
            }
        }
        for (handle, conversation) in &mut self.conversations {
            moved |= conversation.go_on(self.sockets.get_mut(*handle));
        }
        if let Some(exchange) = &mut self.exchange {
            moved |= exchange.go_on(self.sockets.get_mut(exchange.handle));
        }
        moved
    }

    fn listen(&mut self, service: Service) {
        let mut socket = self.socket();
        // It is closed and the port is not zero, so it can listen.
        let _ = socket.listen(service.port);
        let handle = self.sockets.add(socket);
        self.listening.push((handle, service));
    }

    fn connect(&mut self, to: SocketAddrV4) -> SocketHandle {
        let port = FIRST_PORT + self.opened_count % (u16::MAX - FIRST_PORT);
        self.opened_count = self.opened_count.wrapping_add(1);
        let mut socket = self.socket();
        let remote = (*to.ip(), to.port());
        // It is closed and both addresses are given, so it can connect.
        let local = (self.config.address, port);
        let _ = socket.connect(self.interface.context(), remote, local);
        let handle = self.sockets.add(socket);
        self.opened.push((to, handle));
        handle
    }

    fn socket(&self) -> tcp::Socket<'static> {
        let buffer = || tcp::SocketBuffer::new(vec![0; self.config.window]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        let delay = self.config.ack_delay;
        socket.set_ack_delay((!delay.is_zero()).then(|| delay.into()));
        socket
    }

    /// Takes the sockets away that are closed for good. One in TIME-WAIT still acknowledges.
    fn forget_closed(&mut self) {
        let sockets = &mut self.sockets;
        let used = self.exchange.as_ref().map(|exchange| exchange.handle);
        let mut is_closed = |handle: SocketHandle| {
            let socket: &tcp::Socket<'_> = sockets.get(handle);
            let closed = socket.state() == tcp::State::Closed && Some(handle) != used;
            if closed {
                sockets.remove(handle);
            }
            closed
        };
        self.conversations.retain(|(handle, _)| !is_closed(*handle));
        self.opened.retain(|(_, handle)| !is_closed(*handle));
    }
}
