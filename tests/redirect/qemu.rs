//! Two real QEMUs, between which a pair of redirectors carries what their guests send.

use std::{os::unix::net::UnixStream, path::Path, time::Instant};

use tapwright::{
    backend::qemu::{Arguments, Process, Program, Qmp},
    record::Outcome,
};

use crate::{
    Try,
    lab::{LONGEST, Lab, assert_accounted, counter, frame, read_frame, write_frame},
};

pub(crate) const TRIALS: &[(&str, Try)] =
    &[("two_of_them_exchange_traffic", two_of_them_exchange_traffic)];

/// A QEMU without a machine: its netdev has a peer, the guest, whose frames are read and written
/// here.
struct Qemu {
    process: Process,
    qmp: Qmp,
    guest: UnixStream,
}

impl Qemu {
    fn start(program: &Program, netdev: &str, options: &[(&str, String)]) -> Self {
        let mut arguments = Arguments::default();
        let (guest, theirs) = UnixStream::pair().unwrap();
        guest.set_read_timeout(Some(LONGEST)).unwrap();
        let fd = arguments.inherit(theirs.into());
        for (option, value) in options {
            arguments.push(option, value);
        }
        for value in [
            netdev,
            "hubport,id=h0,hubid=0,netdev=hn0",
            &format!("socket,id=guest,fd={fd}"),
            "hubport,id=h1,hubid=0,netdev=guest",
        ] {
            arguments.push("-netdev", value);
        }
        let (mut process, mut qmp) = Process::start(program, arguments).unwrap();
        let answer = process.ask(&mut qmp, "qmp_capabilities", None).unwrap();
        assert!(matches!(answer, Outcome::Done(_)), "{answer:?}");
        Self { process, qmp, guest }
    }

    /// Waits until its own side of a chardev is connected too.
    fn until_connected(&mut self, chardev: &str) {
        let until = Instant::now() + LONGEST;
        loop {
            assert!(Instant::now() < until, "nobody connects to {chardev}");
            let answer = self.process.ask(&mut self.qmp, "query-chardev", None).unwrap();
            let Outcome::Done(chardevs) = answer else { panic!("{answer:?}") };
            let found = chardevs.as_array().unwrap().iter().find(|one| one["label"] == chardev);
            if !found.unwrap()["filename"].as_str().unwrap().starts_with("disconnected:") {
                return;
            }
        }
    }
}

fn two_of_them_exchange_traffic(lab: &Lab) {
    // Where there is none, the trial has nothing to do.
    let Ok(program) = Program::bare(Path::new("qemu-system-x86_64")) else {
        return;
    };
    lab.set_up("lo", true);
    // The first one has a TAP and no filter; the second one has filters on its netdev.
    let mut one = Qemu::start(&program, "tap,id=hn0,ifname=tap0,script=no,downscript=no", &[]);
    lab.set_up("tap0", true);
    let wire = lab.path("wire");
    let filters = [
        ("-chardev", "socket,id=red0,host=127.0.0.1,port=9004,server=on,wait=off".to_owned()),
        ("-chardev", format!("socket,id=mir0,path={},server=on,wait=off", wire.display())),
        ("-object", "filter-redirector,id=f0,netdev=hn0,queue=tx,indev=red0".to_owned()),
        ("-object", "filter-mirror,id=f1,netdev=hn0,queue=rx,outdev=mir0".to_owned()),
    ];
    let mut other = Qemu::start(&program, "user,id=hn0,restrict=on", &filters);

    let there = lab.redirect(&[
        "--in-netdev",
        "tap0",
        "--queue",
        "rx",
        "--outdev",
        "tcp:127.0.0.1:9004,reconnect-ms=10",
    ]);
    let indev = format!("unix:{},reconnect-ms=10", wire.display());
    let back = lab.redirect(&["--indev", &indev, "--out-netdev", "tap0"]);
    for chardev in ["red0", "mir0"] {
        other.until_connected(chardev);
    }
    let mut sent = 0;
    for round in 0..300 {
        let size = 60 + (round as usize * 97) % 1455;
        let (to, fro) = (frame(2 * round, size), frame(2 * round + 1, size));
        write_frame(&mut one.guest, &to, None);
        write_frame(&mut other.guest, &fro, None);
        assert_eq!(read_frame(&mut other.guest, false).1, to, "to the second, {size}");
        assert_eq!(read_frame(&mut one.guest, false).1, fro, "to the first, {size}");
        sent += size as u64;
    }
    // Many at once, but fewer than the second one's socket to its guest holds: behind that, QEMU lets
    // frames overtake each other (the quirk queue-overtakes).
    for number in 0..200 {
        write_frame(&mut one.guest, &frame(number, 64), None);
    }
    for number in 0..200 {
        assert_eq!(read_frame(&mut other.guest, false).1, frame(number, 64));
    }
    let (there, back) = (there.end(), back.end());
    assert_eq!(counter(&there, "/out/packets"), 500);
    assert_eq!(counter(&there, "/out/bytes"), sent + 200 * 64);
    assert_eq!(counter(&back, "/out/packets"), 300);
    assert_eq!(counter(&back, "/out/bytes"), sent);
    assert_accounted(&there);
    assert_accounted(&back);
}
