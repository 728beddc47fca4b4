//! The driver beside a device that is a model of one: it reads and writes the same rings, in the order that it
//! likes, and sometimes what no device may.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{Ordering, fence},
    },
    thread,
};

use proptest::prelude::*;
use rstest::rstest;

use super::{
    Memory, NetDriver, NetError, NetOptions, NetReceived, Virtqueue, VirtqueueError,
    virtqueue::{Access, Used},
};

/// The device's side of a queue.
struct Device {
    parts: [usize; 3],
    size: u16,
    seen: u16,
    used: u16,
}

/// A buffer that the device was lent.
#[derive(Clone, Copy, Debug)]
struct Lent {
    id: u16,
    /// Where it begins in the memory.
    at: usize,
    size: usize,
    flags: u16,
}

impl Device {
    fn of(queue: &Virtqueue) -> Self {
        Self { parts: queue.parts(), size: queue.size(), seen: 0, used: 0 }
    }

    /// The next buffer that was made available.
    fn next(&mut self, memory: &Memory) -> Option<Lent> {
        let [descriptors, available, _] = self.parts;
        if memory.word(available + 2).load(Ordering::Acquire) == self.seen {
            return None;
        }
        let slot = usize::from(self.seen % self.size);
        let id = memory.word(available + 4 + 2 * slot).load(Ordering::Relaxed);
        self.seen = self.seen.wrapping_add(1);
        let at = descriptors + 16 * usize::from(id);
        let address = memory.quad(at).load(Ordering::Relaxed) - memory.address();
        Some(Lent {
            id,
            at: usize::try_from(address).unwrap(),
            size: usize::try_from(memory.double(at + 8).load(Ordering::Relaxed)).unwrap(),
            flags: memory.word(at + 12).load(Ordering::Relaxed),
        })
    }

    /// Gives a buffer back.
    fn finish(&mut self, memory: &Memory, id: u16, written: usize) {
        let slot = usize::from(self.used % self.size);
        let at = self.parts[2] + 4 + 8 * slot;
        memory.double(at).store(u32::from(id), Ordering::Relaxed);
        memory.double(at + 4).store(u32::try_from(written).unwrap(), Ordering::Relaxed);
        self.used = self.used.wrapping_add(1);
        self.jump(memory, self.used);
    }

    /// Writes the index of what it has used.
    fn jump(&self, memory: &Memory, index: u16) {
        memory.word(self.parts[2] + 2).store(index, Ordering::Release);
        fence(Ordering::SeqCst);
    }
}

/// A device that sends back each frame that it is given, with its header.
struct Echo {
    options: NetOptions,
    receive: Device,
    transmit: Device,
    /// Frames that wait for receive buffers.
    waiting: VecDeque<Vec<u8>>,
    /// Buffers that it has for the next frame.
    lent: VecDeque<Lent>,
}

impl Echo {
    fn of(driver: &NetDriver, options: NetOptions) -> Self {
        let [receive, transmit] = driver.queues().map(Device::of);
        Self { options, receive, transmit, waiting: VecDeque::new(), lent: VecDeque::new() }
    }

    /// Takes what was sent, and gives its buffers back, the last ones first where that is wanted.
    fn take(&mut self, memory: &Memory, backwards: bool) {
        let mut taken = Vec::new();
        while let Some(lent) = self.transmit.next(memory) {
            assert_eq!(lent.flags, 0);
            let mut whole = vec![0; lent.size];
            memory.read(lent.at, &mut whole);
            self.waiting.push_back(whole);
            taken.push(lent);
        }
        if backwards {
            taken.reverse();
        }
        for lent in taken {
            self.transmit.finish(memory, lent.id, 0);
        }
    }

    /// Gives back as many frames as there are buffers for.
    fn give(&mut self, memory: &Memory) {
        while let Some(lent) = self.receive.next(memory) {
            assert_eq!(lent.flags, 2);
            self.lent.push_back(lent);
        }
        while let Some(frame) = self.waiting.front_mut() {
            let room = self.lent.front().map_or(usize::MAX, |lent| lent.size);
            let count = if self.options.mergeable { frame.len().div_ceil(room).max(1) } else { 1 };
            if self.lent.len() < count {
                break;
            }
            if self.options.header == NetDriver::LONG {
                frame[10..12].copy_from_slice(&u16::try_from(count).unwrap().to_le_bytes());
            }
            let mut rest = &frame[..];
            for lent in self.lent.drain(..count) {
                let (part, behind) = rest.split_at(rest.len().min(lent.size));
                memory.write(lent.at, part);
                self.receive.finish(memory, lent.id, part.len());
                rest = behind;
            }
            assert!(rest.is_empty(), "a buffer is too small");
            self.waiting.pop_front();
        }
    }
}

fn options(header: usize, mergeable: bool) -> NetOptions {
    NetOptions { header, mergeable, buffers: 64 }
}

/// A frame whose bytes tell where they belong.
fn frame(length: usize, number: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 7 + at / 256 + number * 13).to_le_bytes()[0]).collect()
}

/// Header `number` of a test.
fn header(number: usize) -> [u8; 10] {
    std::array::from_fn(|at| (number + at).to_le_bytes()[0])
}

/// All that has come.
fn received(driver: &mut NetDriver) -> Vec<NetReceived> {
    let mut all = Vec::new();
    while let Some(one) = driver.receive().unwrap() {
        all.push(one);
    }
    driver.refill();
    all
}

#[rstest]
#[case::short(options(10, false))]
#[case::long(options(12, false))]
#[case::merged(options(12, true))]
fn a_frame_of_every_length_comes_back(#[case] options: NetOptions) {
    let mut driver = NetDriver::new(options).unwrap();
    assert!(driver.refill() && !driver.refill());
    let mut echo = Echo::of(&driver, options);
    let near = (2..32)
        .flat_map(|count| (-14..3).map(move |by| (count * 2048_usize).saturating_add_signed(by)));
    let lengths = (0..2100).chain(near).chain(NetDriver::LONGEST - 3..=NetDriver::LONGEST);
    for (number, length) in lengths.enumerate() {
        driver.send(&header(number), &frame(length, number)).unwrap();
        echo.take(driver.memory(), false);
        echo.give(driver.memory());
        assert!(driver.has_received());
        let [one] = received(&mut driver).try_into().unwrap();
        assert_eq!(one.header[..10], header(number));
        assert!(one.frame == frame(length, number), "{length} bytes");
        assert_eq!(driver.reclaim().unwrap(), 0);
    }
    let error = driver.send(&[], &vec![0; NetDriver::LONGEST + 1]).unwrap_err();
    assert_eq!(error, NetError::TooLong(NetDriver::LONGEST + 1));
}

#[test]
fn what_no_device_takes_is_refused_when_the_queue_is_full() {
    let options = options(12, true);
    let mut driver = NetDriver::new(options).unwrap();
    let mut echo = Echo::of(&driver, options);
    for number in 0..64 {
        driver.send(&[], &frame(60, number)).unwrap();
    }
    assert_eq!(driver.send(&[], b"one more").unwrap_err(), NetError::Full);
    assert_eq!(driver.reclaim().unwrap(), 64);
    echo.take(driver.memory(), true);
    driver.send(&[], b"one more").unwrap();
    assert_eq!(driver.reclaim().unwrap(), 1);
}

#[test]
fn queues_are_made_as_virtio_wants_them() {
    let mut memory = Memory::new(1 << 16).unwrap();
    for size in [0, 3, 100] {
        assert!(Virtqueue::new(&mut memory, size).is_err(), "{size}");
    }
    let [descriptors, available, used] = Virtqueue::new(&mut memory, 128).unwrap().parts();
    assert_eq!([descriptors % 16, available % 2, used % 4], [0; 3]);
    assert!(available >= descriptors + 16 * 128 && used >= available + 6 + 2 * 128);
    assert!(Virtqueue::new(&mut memory, 32_768).is_err());
    for wrong in [options(10, true), options(11, false), options(0, false)] {
        assert!(NetDriver::new(wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn a_device_in_another_thread_sees_what_was_published() {
    const BUFFERS: u16 = 64;
    const FRAMES: u32 = 70_000;
    let mut memory = Memory::new(4096).unwrap();
    let mut queue = Virtqueue::new(&mut memory, BUFFERS).unwrap();
    let start = memory.take(4 * usize::from(BUFFERS), 4).unwrap();
    let memory = Arc::new(memory);
    let mut device = Device::of(&queue);
    let shared = Arc::clone(&memory);
    let reader = thread::spawn(move || {
        for number in 0..FRAMES {
            let lent = loop {
                match device.next(&shared) {
                    Some(lent) => break lent,
                    None => thread::yield_now(),
                }
            };
            let mut bytes = [0; 4];
            shared.read(lent.at, &mut bytes);
            assert_eq!(u32::from_le_bytes(bytes), number);
            device.finish(&shared, lent.id, 0);
        }
    });
    for number in 0..FRAMES {
        let buffer = loop {
            while queue.take(&memory).unwrap().is_some() {}
            match queue.free() {
                Some(buffer) => break buffer,
                None if reader.is_finished() => panic!("the device ended"),
                None => thread::yield_now(),
            }
        };
        let at = start + 4 * usize::from(buffer);
        memory.write(at, &number.to_le_bytes());
        assert!(queue.offer(&memory, buffer, (memory.address() + at as u64, 4), Access::Reads));
        assert!(queue.publish(&memory));
    }
    reader.join().unwrap();
}

/// A queue with one buffer lent.
fn one_lent() -> (Memory, Virtqueue, Device) {
    let mut memory = Memory::new(4096).unwrap();
    let mut queue = Virtqueue::new(&mut memory, 4).unwrap();
    assert!(queue.offer(&memory, 2, (0, 100), Access::Writes));
    assert!(!queue.offer(&memory, 2, (0, 100), Access::Writes), "it is lent already");
    assert!(!queue.offer(&memory, 4, (0, 100), Access::Writes), "there is none");
    queue.publish(&memory);
    let device = Device::of(&queue);
    (memory, queue, device)
}

#[test]
fn what_no_device_may_write_is_an_error_for_good() {
    let (memory, mut queue, mut device) = one_lent();
    device.finish(&memory, 3, 0);
    assert_eq!(queue.take(&memory), Err(VirtqueueError::NotLent(3)));
    device.finish(&memory, 2, 100);
    assert_eq!(queue.take(&memory), Err(VirtqueueError::NotLent(3)), "it stays broken");

    let (memory, mut queue, mut device) = one_lent();
    device.finish(&memory, 2, 101);
    let too_long = VirtqueueError::TooLong { buffer: 2, written: 101, size: 100 };
    assert_eq!(queue.take(&memory), Err(too_long));

    let (memory, mut queue, device) = one_lent();
    device.jump(&memory, 2);
    assert_eq!(queue.take(&memory), Err(VirtqueueError::Jump { used: 2, lent: 1 }));
    let (memory, mut queue, device) = one_lent();
    device.jump(&memory, u16::MAX);
    assert_eq!(queue.take(&memory), Err(VirtqueueError::Jump { used: u16::MAX, lent: 1 }));

    let (memory, mut queue, mut device) = one_lent();
    device.finish(&memory, 2, 100);
    assert_eq!(queue.take(&memory), Ok(Some(Used { buffer: 2, written: 100 })));
    assert_eq!(queue.take(&memory), Ok(None));
}

#[rstest]
#[case::no_header(11, 1, NetError::NoHeader(11))]
#[case::no_buffer(20, 0, NetError::Merged(0))]
#[case::too_many(20, 65, NetError::Merged(65))]
fn a_frame_that_no_device_sends_is_an_error_for_good(
    #[case] written: usize,
    #[case] count: u16,
    #[case] expected: NetError,
) {
    let mut driver = NetDriver::new(options(12, true)).unwrap();
    driver.refill();
    let mut device = Device::of(driver.queues()[0]);
    let lent = device.next(driver.memory()).unwrap();
    driver.memory().write(lent.at + 10, &count.to_le_bytes());
    device.finish(driver.memory(), lent.id, written);
    assert_eq!(driver.receive().unwrap_err(), expected);
    assert_eq!(driver.receive().unwrap_err(), expected);
}

/// What happens next in a test of order.
#[derive(Clone, Copy, Debug)]
enum Move {
    Send(usize),
    /// The device takes what was sent, and gives the buffers back from the last one on, or the first.
    Take(bool),
    Give,
    Receive,
    Reclaim,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let length = prop_oneof![
        4 => 0..200_usize,
        2 => 1400..4200_usize,
        1 => 60_000..=NetDriver::LONGEST,
    ];
    let one = prop_oneof![
        4 => length.prop_map(Move::Send),
        2 => any::<bool>().prop_map(Move::Take),
        2 => Just(Move::Give),
        1 => Just(Move::Receive),
        1 => Just(Move::Reclaim),
    ];
    prop::collection::vec(one, 1..200)
}

/// What a device writes that does what it likes.
#[derive(Clone, Copy, Debug)]
enum Mischief {
    Word { at: usize, value: u16 },
    Index { queue: usize, by: u16 },
    Used { queue: usize, id: u32, written: u32 },
}

fn mischief() -> impl Strategy<Value = Mischief> {
    let number = || prop_oneof![0..70_u32, any::<u32>()];
    prop_oneof![
        (0..4096_usize, any::<u16>()).prop_map(|(at, value)| Mischief::Word { at: at * 2, value }),
        (0..2_usize, prop_oneof![0..4_u16, any::<u16>()])
            .prop_map(|(queue, by)| Mischief::Index { queue, by }),
        (0..2_usize, number(), number()).prop_map(|(queue, id, written)| Mischief::Used {
            queue,
            id,
            written
        }),
    ]
}

impl Mischief {
    fn act(self, memory: &Memory, driver: &NetDriver) {
        let used = |queue: usize| driver.queues()[queue].parts()[2];
        match self {
            Self::Word { at, value } => memory.word(at).store(value, Ordering::Relaxed),
            Self::Index { queue, by } => {
                memory.word(used(queue) + 2).fetch_add(by, Ordering::Release);
            }
            Self::Used { queue, id, written } => {
                let index = memory.word(used(queue) + 2);
                let slot =
                    usize::from(index.load(Ordering::Relaxed) % driver.queues()[queue].size());
                let at = used(queue) + 4 + 8 * slot;
                memory.double(at).store(id, Ordering::Relaxed);
                memory.double(at + 4).store(written, Ordering::Relaxed);
                index.fetch_add(1, Ordering::Release);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn frames_keep_their_order_whatever_happens_when(
        moves in moves(),
        (size, mergeable) in prop_oneof![Just((10, false)), Just((12, false)), Just((12, true))],
    ) {
        let options = options(size, mergeable);
        let mut driver = NetDriver::new(options).unwrap();
        driver.refill();
        let mut echo = Echo::of(&driver, options);
        let (mut sent, mut came) = (Vec::new(), Vec::new());
        for step in moves.into_iter().chain([Move::Take(false), Move::Give]) {
            match step {
                Move::Send(length) => {
                    let number = sent.len();
                    match driver.send(&header(number), &frame(length, number)) {
                        Ok(()) => sent.push(length),
                        Err(error) => {
                            prop_assert_eq!(error, NetError::Full);
                            prop_assert_eq!(driver.reclaim().unwrap(), 64);
                        }
                    }
                }
                Move::Take(backwards) => echo.take(driver.memory(), backwards),
                Move::Give => echo.give(driver.memory()),
                Move::Receive => came.extend(received(&mut driver)),
                Move::Reclaim => prop_assert!(driver.reclaim().unwrap() <= 64),
            }
        }
        while came.len() < sent.len() {
            let more = received(&mut driver);
            prop_assert!(!more.is_empty());
            came.extend(more);
            echo.give(driver.memory());
        }
        for (number, (length, one)) in sent.iter().zip(&came).enumerate() {
            prop_assert_eq!(&one.header[..10], &header(number));
            prop_assert!(one.frame == frame(*length, number));
        }
        prop_assert_eq!(came.len(), sent.len());
    }

    #[test]
    fn nothing_that_a_device_writes_is_a_panic(
        mischief in prop::collection::vec(mischief(), 1..60),
        (size, mergeable) in prop_oneof![Just((10, false)), Just((12, false)), Just((12, true))],
    ) {
        let mut driver = NetDriver::new(options(size, mergeable)).unwrap();
        driver.refill();
        for one in mischief {
            one.act(driver.memory(), &driver);
            let sent = driver.send(&header(1), &frame(60, 1));
            let left = driver.reclaim();
            prop_assert!(left.is_err() || left.unwrap() <= 64);
            let mut count = 0;
            let received = loop {
                match driver.receive() {
                    Ok(Some(received)) => prop_assert!(received.frame.len() <= 64 * NetDriver::LONGEST),
                    other => break other.map(drop),
                }
                count += 1;
                prop_assert!(count <= 64);
            };
            if received.is_err() {
                prop_assert_eq!(driver.receive().map(drop), received);
            }
            if let Err(NetError::Queue(error)) = sent {
                prop_assert_eq!(driver.reclaim(), Err(NetError::Queue(error)));
            }
            driver.refill();
        }
    }
}
