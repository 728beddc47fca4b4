//! `filter-mirror`: copies every packet to `outdev` and passes it on (QEMU 10.2.2
//! `net/filter-mirror.c`).

use crate::{
    machine::{
        core::{ChardevKey, Packet},
        error::not_found,
        part::{Context, Part, Verdict},
    },
    qapi::Spec,
    record::CommandError,
};

#[derive(Debug)]
struct Mirror {
    outdev: ChardevKey,
}

pub(super) fn make(cx: &mut Context<'_>, spec: &Spec) -> Result<Box<dyn Part>, CommandError> {
    let id = spec.text("outdev").unwrap_or_default();
    let missing = || not_found(format!("Device '{id}' not found"));
    let outdev = cx.core.chardev_of(id).ok_or_else(missing)?;
    cx.core.chardev_attach(outdev, cx.key)?;
    Ok(Box::new(Mirror { outdev }))
}

impl Part for Mirror {
    /// Passes in any case; a failure is only logged.
    fn receive(&mut self, cx: &mut Context<'_>, packet: &Packet) -> Verdict {
        if let Err(error) = cx.write_frame(self.outdev, &packet.data, packet.tag) {
            cx.log_failed_write(error, packet.tag);
        }
        Verdict::Pass
    }

    fn cleanup(&mut self, cx: &mut Context<'_>) {
        cx.core.chardev_detach(self.outdev, cx.key);
    }
}
