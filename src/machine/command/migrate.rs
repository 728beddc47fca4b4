//! Both ends of a migration, as far as the net layer has to do with it: run states, the VM's clock, and
//! that the guest announces itself (QEMU 10.2.2 `migration/migration.c`; the texts and run states
//! were measured on 7.2.22).

use serde_json::Value;

use super::{done, netdev};
use crate::{
    machine::{Halt, Migrated, error::generic, net::Net},
    record::CommandError,
};

/// The VM stops, and its state is another machine's.
pub(super) fn out(net: &mut Net) -> Result<Value, CommandError> {
    if !net.core.running {
        match net.core.halt {
            Halt::Postmigrate => {
                let text = "Can't migrate the vm that was paused due to previous migration";
                return Err(generic(text));
            }
            Halt::Inmigrate { .. } => {
                return Err(generic("Guest is waiting for an incoming migration"));
            }
            Halt::Paused | Halt::Prelaunch => {}
        }
    }
    netdev::halt(net, Halt::Postmigrate);
    Ok(done())
}

/// The state of a VM has come. It runs if it ran at the source and this machine may start by itself;
/// else it stands as it stood there.
pub(super) fn take(net: &mut Net, migrated: Migrated) -> Result<Value, CommandError> {
    let Halt::Inmigrate { autostart } = net.core.halt else {
        return Err(generic("no migration is awaited"));
    };
    net.core.vm_clock.set(net.core.now, migrated.clock);
    net.core.halt = migrated.halt.unwrap_or(Halt::Paused);
    net.announce_arrival();
    if migrated.halt.is_none() && autostart {
        netdev::go_on(net);
    }
    Ok(done())
}
