//! A command line's options, as a machine of the scenario.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{
    chardev, flag,
    limit::MAX_PARTS,
    netdev,
    nic::{self, Nic},
    object::{self, Object},
    standin,
    step::Step,
};
use crate::qapi::{BAD_ID, Options, id_wellformed};

/// A QEMU, as far as a scenario has it.
#[derive(Clone, Debug, Default)]
pub(super) struct Machine {
    /// `-name`.
    pub(super) name: Option<String>,
    /// What the headings of the paste call it.
    pub(super) part: Option<String>,
    /// `-S`: the guest does not run before `cont`.
    pub(super) stopped: bool,
    /// `-incoming`: where the guest comes from, as far as that is written.
    pub(super) incoming: Option<String>,
    /// Where `migrate-incoming` made it wait.
    pub(super) listens: Vec<String>,
    /// COLO's capability was set: both guests run, and a migration hands over none.
    pub(super) has_colo: bool,
    /// The ids of NICs, each with its netdev.
    pub(super) nic_ids: Vec<(String, String)>,
    /// The command line is one that libvirt wrote.
    pub(super) is_libvirts: bool,
    /// The last command became a step, which an error that follows is about.
    pub(super) is_step_last: bool,
    /// A note says that no heading names the machine of its commands.
    pub(super) assumed: bool,
    /// The text of a `-readconfig` file is in the paste.
    pub(super) sections: bool,
    /// There was a program's name: what isn't declared isn't there. Else it is a fragment.
    pub(super) whole: bool,
    pub(super) netdevs: Vec<Options>,
    pub(super) chardevs: Vec<Options>,
    pub(super) objects: Vec<Object>,
    pub(super) steps: Vec<Step>,
    /// Options that are not of the net layer, as written.
    pub(super) elsewhere: Vec<String>,
    /// `-name`, where it says nothing but the name.
    name_option: Option<String>,
    /// What is otherwise than on the command line.
    pub(super) notes: Vec<String>,
    /// Options that QEMU refuses and a scenario can't declare, each with QEMU's text.
    pub(super) refused: Vec<(String, String)>,
    /// `-readconfig`, as long as its text has not come.
    pub(super) readconfig: Option<String>,
    nics: Vec<(String, Nic)>,
    /// `-net nic` and the netdevs of `-net`, which share a hub.
    hub: (Vec<Nic>, Vec<String>),
    /// Netdevs and chardevs that a scenario has to call otherwise.
    renamed: Vec<(&'static str, String, String)>,
    /// Netdevs that reach a netdev of another machine without a host's interface, as they are written.
    pub(super) wires: Vec<Options>,
}

impl Machine {
    pub(super) fn is_empty(&self) -> bool {
        self.netdevs.is_empty()
            && self.chardevs.is_empty()
            && self.objects.is_empty()
            && self.steps.is_empty()
            && self.refused.is_empty()
            && self.readconfig.is_none()
    }

    /// The ids of all that it declares, in the net layer and elsewhere.
    pub(super) fn ids(&self) -> BTreeSet<String> {
        let options = self.netdevs.iter().chain(&self.chardevs).filter_map(Options::id);
        let objects = self.objects.iter().filter_map(Object::id);
        let mut ids: BTreeSet<String> = options.chain(objects).map(str::to_owned).collect();
        ids.extend(self.nic_ids.iter().map(|(id, _)| id.clone()));
        ids.extend(self.renamed.iter().map(|(_, old, _)| old.clone()));
        let values = self.elsewhere.iter().filter_map(|written| written.split_once(' '));
        ids.extend(values.filter_map(|(_, value)| read(value, "").id().map(str::to_owned)));
        ids
    }

    /// What is said of its commands that are no step.
    pub(super) fn unmade(&self) -> impl Iterator<Item = &String> {
        self.notes.iter().filter(|note| note.starts_with("no step for"))
    }

    /// Whether it declares all that another one does.
    pub(super) fn holds(&self, other: &Self) -> bool {
        let all = |own: &[Options], others: &[Options]| others.iter().all(|one| own.contains(one));
        all(&self.netdevs, &other.netdevs)
            && all(&self.chardevs, &other.chardevs)
            && other
                .objects
                .iter()
                .all(|one| self.objects.iter().any(|own| own.properties == one.properties))
            && other.refused.is_empty()
    }

    /// Whether it declares all that another one does, but for what QEMU refuses there.
    pub(super) fn holds_rest_of(&self, other: &Self) -> bool {
        let without = Self { refused: Vec::new(), ..other.clone() };
        self.holds(&without)
    }

    /// How many things a scenario would have of it, or would say of it.
    pub(super) fn parts(&self) -> usize {
        self.netdevs.len()
            + self.chardevs.len()
            + self.objects.len()
            + self.steps.len()
            + self.refused.len()
            + self.nics.len()
            + self.hub.0.len()
    }

    /// Takes the options of these words, until there are too many.
    pub(super) fn add_words(&mut self, words: &[String]) {
        let mut words = words.iter().peekable();
        while let Some(word) = words.next() {
            if self.parts() > MAX_PARTS {
                return;
            }
            let Some(name) = flag::name(word) else {
                if word.starts_with("${") && word.ends_with('}') && !word[1..].contains('$') {
                    self.notes.push(format!("what {word} stands for is not in the paste: add it"));
                } else {
                    self.elsewhere.push(word.clone());
                }
                continue;
            };
            if name == "S" {
                self.stopped = true;
                continue;
            }
            let takes = flag::takes_value(name);
            match words.next_if(|next| takes && (flag::is_open(word) || !next.starts_with('-'))) {
                Some(value) => self.add(name, value),
                None => self.elsewhere.push(word.clone()),
            }
        }
    }

    /// Names the option that gave the machine its name, where the scenario has none.
    pub(super) fn leave_out_name(&mut self) {
        self.elsewhere.splice(0..0, self.name_option.take());
    }

    /// Takes options that stand apart in the paste.
    pub(super) fn join(&mut self, fragment: Self) {
        self.chardevs.extend(fragment.chardevs);
        self.objects.extend(fragment.objects);
        self.elsewhere.extend(fragment.elsewhere);
        self.refused.extend(fragment.refused);
        self.notes.push("options that stand apart in the paste are among these".to_owned());
        self.notes.extend(fragment.notes);
    }

    /// Takes an option and its value.
    pub(super) fn add(&mut self, name: &str, value: &str) {
        if flag::is_net_name(name) && standin::is_open(value) {
            let text =
                format!("-{name} {} is left out: the text does not say what it is", shown(value));
            return self.notes.push(text);
        }
        match name {
            "netdev" => self.add_netdev(read(value, "type"), value),
            "chardev" => self.add_chardev(value),
            "object" => self.add_object(value),
            "device" => self.add_device(value),
            "net" => self.add_net(value),
            "nic" => self.add_nic(value),
            "readconfig" => self.readconfig = Some(value.to_owned()),
            "incoming" => self.incoming = Some(value.to_owned()),
            "name" => {
                let options = Options::read(value, "guest").without_empty();
                self.name = name_of(value);
                self.is_libvirts |= value.starts_with("guest=") && options.is_on("debug-threads");
                let written = format!("-name {}", shown(value));
                match options.elements().len() > 1 || self.name.is_none() {
                    true => self.elsewhere.push(written),
                    false => self.name_option = Some(written),
                }
            }
            _ => self.elsewhere.push(format!("-{name} {}", shown(value))),
        }
    }

    fn add_netdev(&mut self, options: Options, written: &str) {
        let refusal = self.id_refusal("netdev", &options, "Parameter 'id' is missing");
        let is_wire = matches!(options.get("type"), Some("socket" | "stream" | "dgram"));
        let wire = options.clone();
        match refusal.map_or_else(|| netdev::language(options, &mut self.notes), Err) {
            Ok(mut options) => {
                self.rename("netdev", &mut options);
                self.wires.extend(is_wire.then(|| {
                    let mut wire = wire;
                    wire.set("id", options.id().unwrap_or_default());
                    wire
                }));
                self.netdevs.push(options);
            }
            Err(refusal) => self.refuse("netdev", written, refusal),
        }
    }

    fn add_chardev(&mut self, written: &str) {
        let options = Options::read(written, "backend").without_empty();
        let refusal = self.id_refusal("chardev", &options, "chardev: no id specified");
        match refusal.map_or_else(|| chardev::language(options, &mut self.notes), Err) {
            Ok(mut options) => {
                self.rename("chardev", &mut options);
                self.chardevs.push(options);
            }
            Err(refusal) => self.refuse("chardev", written, refusal),
        }
    }

    /// What QEMU says of the id of a netdev or a chardev; none where it takes it.
    fn id_refusal(&self, what: &str, options: &Options, missing: &str) -> Option<String> {
        let known = if what == "netdev" { &self.netdevs } else { &self.chardevs };
        match options.id() {
            None => Some(missing.to_owned()),
            Some(id) if !id_wellformed(id) && !id.contains("${") => Some(BAD_ID.to_owned()),
            Some(id) if known.iter().any(|other| other.id() == Some(id)) => {
                Some(format!("Duplicate ID '{id}' for {what}"))
            }
            Some(_) => None,
        }
    }

    fn add_object(&mut self, written: &str) {
        let mut object = Object::read(written);
        if object::is_elsewhere(&object.properties) {
            self.elsewhere.push(format!("-object {}", shown(written)));
            return;
        }
        let refusal = match object.id() {
            None => Some("Parameter 'id' is missing".to_owned()),
            Some(id) if self.objects.iter().any(|other| other.id() == Some(id)) => {
                Some(if object.properties.option_id().is_none() {
                    format!("attempt to add duplicate property '{id}' to object (type 'container')")
                } else {
                    format!("Duplicate ID '{id}' for object")
                })
            }
            Some(_) => None,
        };
        if let Some(refusal) = refusal {
            return self.refuse("object", written, refusal);
        }
        if let Some(own) = object::own_file(&object.properties) {
            self.notes.push(format!("object {} has {}", object.id().unwrap_or("?"), own.note));
            object.set(&own.property, &own.file);
        }
        self.objects.push(object);
    }

    fn add_device(&mut self, written: &str) {
        let options = read(written, "driver");
        if !nic::is_nic(&options) {
            self.elsewhere.push(format!("-device {}", shown(written)));
            return;
        }
        self.add_front(format!("-device {}", shown(written)), &options, Nic::of_device(&options));
    }

    /// A NIC that says which netdev it is on.
    fn add_front(&mut self, written: String, options: &Options, nic: Nic) {
        if let Some(netdev) = options.get("netdev") {
            self.notes.push(format!("{written} is the guest's side of {netdev}"));
            self.nics.push((netdev.to_owned(), nic));
            self.nic_ids.extend(options.id().map(|id| (id.to_owned(), netdev.to_owned())));
        }
    }

    /// `-net nic` and `-net tap`: each a port of one hub.
    fn add_net(&mut self, written: &str) {
        let mut options = Options::read(written, "type").without_empty();
        match options.get("type") {
            Some("nic") => {
                let nic = Nic::of_model(&options);
                if nic::is_nic(&options) {
                    self.add_front(format!("-net {}", shown(written)), &options, nic);
                } else {
                    self.notes.push(format!("-net {} is the guest's side of -net", shown(written)));
                    self.hub.0.push(nic);
                }
            }
            Some("none") | None => self.elsewhere.push(format!("-net {}", shown(written))),
            Some(_) => {
                let id = self.id_for(&options, "net");
                options.remove("name");
                options.set("id", &id);
                self.notes.push(format!(
                    "-net {} is the netdev {id} here, without the hub that QEMU puts between it and \
                     the guest",
                    shown(written)
                ));
                self.hub.1.push(id);
                self.add_netdev(options, written);
            }
        }
    }

    /// `-nic`: a netdev and the NIC on it.
    fn add_nic(&mut self, written: &str) {
        let mut options = Options::read(written, "type").without_empty();
        if options.get("type") == Some("none") {
            self.elsewhere.push(format!("-nic {}", shown(written)));
            return;
        }
        let nic = Nic::of_model(&options);
        let id = self.id_for(&options, "nic");
        for key in nic::NIC_KEYS {
            options.remove(key);
        }
        if options.id().is_none() {
            options.push("id", &id);
        }
        self.notes
            .push(format!("-nic {} is the netdev {id} and the guest's side of it", shown(written)));
        self.nics.push((id, nic));
        self.add_netdev(options, written);
    }

    /// The id that the option has, or one that nobody has.
    fn id_for(&self, options: &Options, stem: &str) -> String {
        let given = options.id().or_else(|| options.get("name"));
        let given = given.map(str::to_owned);
        let taken = |id: &String| self.netdevs.iter().any(|other| other.id() == Some(id));
        given.unwrap_or_else(|| {
            let mut ids = (0..).map(|number| format!("{stem}{number}"));
            ids.find(|id| !taken(id)).unwrap_or_default()
        })
    }

    /// The names of ports have no dots.
    fn rename(&mut self, what: &'static str, options: &mut Options) {
        let Some(id) = options.id().filter(|id| id.contains('.')).map(str::to_owned) else {
            return;
        };
        let new = id.replace('.', "_");
        options.set("id", &new);
        self.notes.push(format!("{what} {id} is called {new} here: ports have names without dots"));
        self.renamed.push((what, id, new));
    }

    fn refuse(&mut self, option: &str, written: &str, text: String) {
        let written = format!("-{option} {}", shown(written));
        self.refused.push((written, text));
    }

    /// Puts together what the options say of each other, when all have been read.
    pub(super) fn finish(&mut self) {
        let (nics, netdevs) = std::mem::take(&mut self.hub);
        let hub = netdevs.into_iter().zip(nics);
        let nics: Vec<(String, Nic)> =
            std::mem::take(&mut self.nics).into_iter().chain(hub).collect();
        for (id, nic) in nics {
            let new = self.new_name("netdev", &id).unwrap_or(id);
            if let Some(netdev) = self.netdevs.iter_mut().find(|one| one.id() == Some(&new)) {
                nic.add_to(netdev, &mut self.notes);
            }
        }
        self.rename_in_objects();
        self.iothreads_first();
        self.name_nics();
    }

    /// Commands name NICs by their ids, and a scenario has `NETDEV.guest` for each.
    fn name_nics(&mut self) {
        let ids = std::mem::take(&mut self.nic_ids);
        let netdev_of =
            |name: &str| ids.iter().find(|(id, _)| id == name).map(|(_, netdev)| netdev.clone());
        for mut step in std::mem::take(&mut self.steps) {
            match step.verb.as_str() {
                "set_link" => {
                    let name = step.value.get("name").and_then(Value::as_str).unwrap_or_default();
                    let is_netdev = self.netdevs.iter().any(|one| one.id() == Some(name));
                    if let Some(netdev) = netdev_of(name).filter(|_| !is_netdev) {
                        step.value["name"] = Value::from(format!("{netdev}.guest"));
                    }
                }
                "announce-self" => {
                    let names = step.value.get_mut("interfaces").and_then(Value::as_array_mut);
                    for name in names.into_iter().flatten() {
                        if let Some(netdev) = name.as_str().and_then(netdev_of) {
                            *name = Value::from(format!("{netdev}.guest"));
                        }
                    }
                }
                _ => {}
            }
            self.steps.push(step);
        }
    }

    fn new_name(&self, what: &str, id: &str) -> Option<String> {
        let mut renamed = self.renamed.iter();
        let found = renamed.find(|(kind, old, _)| *kind == what && old == id);
        found.map(|(_, _, new)| new.clone())
    }

    fn rename_in_objects(&mut self) {
        if self.renamed.is_empty() {
            return;
        }
        let mut objects = std::mem::take(&mut self.objects);
        for object in &mut objects {
            let members = object.properties.members();
            let changes = members.iter().filter_map(|member| {
                let what = match member.role? {
                    role if role.is_netdev() => "netdev",
                    role if role.is_chardev() => "chardev",
                    _ => return None,
                };
                Some((member.name.to_owned(), self.new_name(what, member.text()?)?))
            });
            let changes: Vec<(String, String)> = changes.collect();
            for (name, new) in changes {
                object.set(&name, &new);
            }
        }
        self.objects = objects;
    }

    /// QEMU makes an iothread before any netdev, wherever it stands (QEMU 10.2.2, `system/vl.c`,
    /// `object_create_early`).
    fn iothreads_first(&mut self) {
        let is_iothread = |object: &Object| object.is_a("iothread");
        let first = self.objects.iter().position(is_iothread);
        let compare = self.objects.iter().position(|object| object.is_a("colo-compare"));
        if let (Some(iothread), Some(compare)) = (first, compare)
            && compare < iothread
        {
            self.objects.sort_by_key(|object| !is_iothread(object));
            self.notes
                .push("the iothread stands first: QEMU makes it before the filters".to_owned());
        }
    }
}

/// The machine's name in a value of `-name`.
pub(super) fn name_of(value: &str) -> Option<String> {
    Options::read(value, "guest").without_empty().get("guest").map(str::to_owned)
}

/// The path, or the port, at which a monitor listens that this option makes.
pub(super) fn monitor(option: &str, value: &str) -> Option<String> {
    match option.trim_start_matches('-') {
        "monitor" | "qmp" | "qmp-pretty" => {
            let options = Options::read(value, "address").without_empty();
            let address = options.get("address")?;
            let (kind, rest) = address.split_once(':')?;
            let place = if kind == "unix" { rest } else { rest.rsplit_once(':')?.1 };
            Some(place.to_owned())
        }
        "chardev" => {
            let options = Options::read(value, "backend").without_empty();
            options.get("path").or_else(|| options.get("port")).map(str::to_owned)
        }
        _ => None,
    }
}

fn read(text: &str, implied: &str) -> Options {
    match serde_json::from_str::<Map<String, Value>>(text) {
        Ok(map) => Options::of_json(&map, implied),
        Err(_) => Options::read(text, implied).without_empty(),
    }
}

/// A word as one line of a shell has it.
pub(super) fn shown(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=,.:/@+%[]${}".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''").replace('\n', " "))
    }
}
