//! Everything that can be wrong with a scenario: one row for each error, below the code that it
//! has. Whatever reads a scenario makes these errors, and [`Found::report`] turns them into
//! reports.

use std::{path::PathBuf, sync::Arc};

use super::{budget, key::VERB_NAMES};
use crate::{
    base::{QemuVersion, Quirk},
    diag::{Advice, Code, Label, Report, Source, Span, errors},
};

errors! {
    /// Why a scenario can't be used.
    #[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
    pub(crate) enum Fault;

    "TW-S001" "the scenario can't be read",
        "The file is not there, may not be read, or is no file but a directory, a pipe, a device or what the kernel makes up in /proc and /sys. Name a file; a folder is searched only by `run`, `check` and `list`.";
        Unreadable { path: PathBuf, reason: String }
            error("can't read {}: {reason}", path.display())
            label("this file")
            help("name a scenario file that exists and that you may read");
    "TW-S002" "the scenario is not UTF-8",
        "A scenario is UTF-8 text, with or without a byte order mark. The message gives the first byte that is not. Save the file as UTF-8; write raw bytes as `hex` or keep them in a pcap.";
        NotUtf8 { offset: usize, byte: u8 }
            error("the file is not UTF-8 text: byte {offset} is 0x{byte:02x}")
            label("not UTF-8")
            help("save the file as UTF-8; raw bytes belong into `hex: ...` or a pcap");
    "TW-S003" "the scenario is too large",
        "A scenario has at most 1 MiB, 20,000 nodes, 32 levels, and aliases may not make it longer than that. The limits protect against files that are small on disk and huge when read. Long traffic belongs into a pcap.";
        TooLong { most: usize }
            error("the file has more than {most} bytes, and a scenario has not")
            label("this file")
            help("put packets into a pcap and name it with `pcap:`");
        Budget { nodes: usize, depth: usize, reason: String }
            error("the YAML is too large: {reason}")
            label("the limit is passed here")
            help(format!(
                "a scenario has at most {nodes} nodes and {depth} levels, and aliases count as often as they are used: put packets into a pcap, or split the file"
            ));
    "TW-S004" "the file is not YAML",
        "The parser stopped here. The cause is usually in this line or the one before: a tab, a missing quote, colon or bracket, or an indentation that fits no key above. `${name}` inside braces or brackets needs quotes.";
        Syntax { reason: String, help: String }
            error("this is not YAML: {reason}")
            label(reason.as_str())
            help(help.as_str());
    "TW-S005" "the file has several documents",
        "`---` begins a second document. A scenario is one document, so that its name is the file's name. Use one file each, or `matrix` for variants.";
        SeveralDocuments
            error("a second YAML document begins here; a scenario is one document")
            label("the second document")
            help("put each scenario into a file of its own, or use `matrix`");
    "TW-S006" "YAML tags are not used",
        "A word that begins with `!` is a YAML tag. The language has none: what a value is follows from its key. Leave the tag out, or quote the text.";
        Tag { reason: String }
            error("YAML tags are not used here: {reason}")
            label("a tag")
            help("leave the tag (`!name`) out, or quote the text");
    "TW-S007" "a key is not text",
        "A key is a list, a map, or nothing. Every key of the language is a word.";
        KeyNotText
            error("a key must be text")
            label("not text")
            help("write `key: value`");
    "TW-S008" "a key stands twice",
        "YAML's maps have each key once; most readers silently keep the last. Here both places are shown. Keep one.";
        DuplicateKey { key: String }
            error("the key `{key}` stands twice in this map")
            label("again here")
            help("keep one of the two");
    "TW-S009" "the scenario is empty",
        "There is nothing to build and nothing to do: the file is empty, is not a map, or has neither `netdevs`, `chardevs`, `objects`, `links` nor `steps`.";
        Empty { what: &'static str }
            error("{what}")
            label("this is all there is")
            help("declare `netdevs`, `objects` and `steps`");
    "TW-S010" "unknown key",
        "The map has no key of this name, so it would have no effect. The nearest key is suggested and all of them are listed. Properties of objects are QEMU's and are not checked here.";
        UnknownKey { key: String, map: &'static str, near: Option<String>, known: String }
            error("unknown key `{key}` in {map}")
            label(meant(near.as_deref(), format!("{map} has no such key")))
            help(format!("its keys are {known}"));
    "TW-S011" "a key is missing",
        "The map needs this key. `description`, for one, is what reports and reviews show of a scenario.";
        MissingKey { key: &'static str, map: &'static str, doc: &'static str }
            error("{map} needs the key `{key}`")
            label(format!("`{key}` is missing here"))
            help(format!("add `{key}: ...`: {doc}"));
    "TW-S012" "another kind of value is expected",
        "The key takes another kind of value. Plain on, off, yes and no are text in YAML 1.2; true and false are booleans; a quoted number is text.";
        Type { expected: String, found: String, help: Option<String> }
            error("expected {expected}, found {found}")
            label(format!("must be {expected}"))
            help(help.clone().unwrap_or_else(|| format!("write {expected}")));
    "TW-S013" "a number is out of range",
        "The number doesn't fit its field: a port has 16 bits, a VLAN id 12, an MTU from 68 to 65521.";
        Range { key: String, found: String, least: u64, most: u64 }
            error("`{key}` is {found}; it must be from {least} to {most}")
            label(format!("must be from {least} to {most}"))
            help(format!("write a number from {least} to {most}"));
    "TW-S014" "not one of the words",
        "The key takes one of a few words. They are listed, and the nearest is suggested.";
        Choice { key: String, found: String, near: Option<String>, known: String }
            error("`{key}` can't be \"{found}\"")
            label(meant(near.as_deref(), "not one of the words"))
            help(format!("it is one of {known}"));
    "TW-S015" "two keys exclude one another",
        "The two keys say different things about one matter, so it would be unclear which holds. Keep one.";
        Conflict { first: String, second: String, help: &'static str }
            error("`{first}` and `{second}` can't stand together")
            label(format!("`{second}` stands here"))
            help(*help);
    "TW-S016" "a key without the one it needs",
        "The key would have no effect as things stand. Add the one that gives it a meaning, or leave it out.";
        Needs { key: String, needs: &'static str }
            error("`{key}` has no effect without {needs}")
            label("has no effect")
            help(without(key, needs));
    "TW-S017" "not supported yet",
        "The word belongs to the language but is not built yet, so the scenario can't be run. The help says what can be done instead.";
        NotYet { what: String, help: &'static str }
            error("`{what}` is not supported yet")
            label("not yet")
            help(*help);
    "TW-S018" "not a possible id",
        "Ids follow QEMU's rule: a letter, then letters, digits, `-`, `.` and `_`. An id of a netdev or chardev has no dot here, because a port's name is `ID.guest`. Interface names have at most 15 bytes, as the kernel allows.";
        BadId { id: String, what: &'static str, rule: &'static str }
            error("\"{id}\" can't name {what}")
            label("not a possible name")
            help(*rule);
    "TW-S019" "an id is used twice",
        "Two things would have one name, so a step could not say which it means. Objects are an exception: QEMU itself refuses the second, and a scenario may show that.";
        DuplicateId { id: String, what: &'static str }
            error("{what} \"{id}\" is there already")
            label("the second one")
            help(rename(what));
    "TW-S020" "the matrix gives no cases",
        "`matrix` is a map from a name to a list of at least one scalar. Each combination is a case.";
        Matrix { reason: String, help: &'static str }
            error("the matrix gives no cases: {reason}")
            label("gives no cases")
            help(*help);
    "TW-S021" "a reference to nothing",
        "`${name}` stands for a value of `matrix`, or, inside the frames of a `send` with `repeat`, `${i}` for the number of the repetition from 1. `$${` stands for a literal `${`.";
        UnknownVariable { name: String, help: String }
            error("`${{{name}}}` names nothing in `matrix`")
            label("not in `matrix`")
            help(help.as_str());
    "TW-S022" "a malformed reference",
        "After `${` must come a name and `}`. `$${` stands for a literal `${`.";
        BadReference { found: String }
            error("`{found}` is not a reference of the form `${{name}}`")
            label("not a reference")
            help("write `${name}` with a name of letters, digits, `_` and `-`; `$${` stands for a literal `${`");
    "TW-S023" "too many combinations",
        "The product of the matrix is over the limit. It would take long to run and nobody would review it. Split the scenario.";
        TooManyCases { cases: usize, most: usize }
            error("the matrix has {cases} combinations; at most {most} are allowed")
            label("multiplies to too many")
            help("take values out, or split the scenario into several files");
    "TW-S024" "null in the middle of a text",
        "A null value leaves out the key, the list entry or the `key=${name}` of an option string that holds it. In the middle of another text there is nothing that could be left out.";
        NullInText { name: String }
            error("`${{{name}}}` is null here and stands in the middle of a text")
            label("null in one case")
            help("null leaves out a whole value or a `key=${name}` of an option string; give the text in full as a value instead");
    "TW-S025" "a name of the matrix is not used",
        "No string of the scenario refers to the name, so its values only repeat the same case. Usually a reference is misspelt.";
        UnusedVariable { name: String }
            error("no string uses `${{{name}}}`")
            label("every value gives the same case")
            help(format!("use it, for example as `\"${{{name}}}\"`, or take it out of `matrix`"));
    "TW-S026" "two cases have one name",
        "A case is named after its values. Two equal values, or values that print alike, give one name to two cases, and a snapshot has one section for each.";
        DuplicateCase { id: String }
            error("two cases would have the name \"{id}\"")
            label("the same name again")
            help("make the values differ; each combination is a case with a name");
    "TW-S027" "YAML's merge key",
        "`<<` is the merge key of YAML 1.1: it copies the entries of another map. YAML 1.2, which scenarios are written in, has none. An alias (`*name`) repeats a whole value, and values of `matrix` stand in any text. Quoted, \"<<\" is a key like any other.";
        MergeKey
            error("`<<` is not understood: YAML 1.2 has no merge key")
            label("a merge key of YAML 1.1")
            help("write the entries out, or repeat a whole map with its alias: `hn1: *name`");
    "TW-S028" "an expected error that says nothing",
        "An expected error is a text, letter for letter, or a map with the class, the text, or both. An empty map would be met by any error.";
        NoError
            error("an expected error needs `class`, `text` or both")
            label("neither stands here")
            help("write the text, or `class: ...` where any text of that class will do");
    "TW-S030" as BAD_MAC "not a MAC address",
        "A MAC address is six two-digit hexadecimal octets with colons: 52:54:00:12:34:56. Quote it where YAML might take it for a number.";
        // A text of another form than its key takes has the code of that form.
        Format { reason: String, help: &'static str, code: Code }
            error("{reason}")
            code(*code)
            label("not of this form")
            help(*help);
    "TW-S031" as BAD_ADDRESS "not an IP address",
        "The value is not an address of the family that the key takes, or, where an address on an interface is meant, lacks its prefix: 10.0.0.1/24. A client asks an address and a port: 10.0.0.2:80.";
    "TW-S032" as BAD_HEX "not hexadecimal bytes",
        "Bytes are pairs of hexadecimal digits; blanks between them are free. An odd digit at the end is usually a slip, so it is not padded. Quote digits: YAML takes 0012 for a number.";
    "TW-S033" as BAD_DURATION "not a duration",
        "A duration is a number and a unit: 3s, 200ms, 50us, 10ns, 2m. A bare number would leave the unit open.";
    "TW-S034" as BAD_SELECTION "not a selection of packets",
        "Packets of a capture are selected with numbers from 1 and ranges with both ends: 3, 1..5, or a list of these.";
    "TW-S035" "not an option string",
        "QEMU's -chardev takes `backend,id=NAME,key=value,...`. A comma inside a value is doubled. A boolean may stand as its bare name.";
        OptionString { reason: String }
            error("not an option string of QEMU: {reason}")
            label("not an option string")
            help("it is `backend,id=NAME,key=value,...`, of a netdev `type,id=NAME,...`, in quotes where it stands in [ ]; a comma inside a value is written `,,`");
    "TW-S036" as BAD_FILL "not bytes to fill with",
        "`{fill, len}` repeats one byte, given as a number from 0 to 255 or as two hexadecimal digits, `len` times.";
    "TW-S037" as BAD_IMPAIRMENT "not an impairment",
        "Impairments are written as tc-netem writes them: a share of frames as a percentage, 10% or 0.1%; a rate in bits with its unit, 500kbit, 1mbit or 10gbit; delays as durations.";
    "TW-S040" "unknown profile",
        "A profile says which QEMU is modelled: a release, qemu-7.2 to qemu-11.1; a version of the RFC, rfc-v1 to rfc-v4, of which rfc-v1, with in_netdev and out_netdev, is also called rfc; or ideal, which is rfc with every quirk mended.";
        UnknownProfile { name: String, near: Option<String> }
            error("unknown profile \"{name}\"")
            label(meant(near.as_deref(), "no such profile"))
            help(profiles());
    "TW-S041" "unknown quirk",
        "A quirk is a named way in which a QEMU departs from what it promises. `profile: {base, without: [...]}` mends some of them.";
        UnknownQuirk { name: String, near: Option<String> }
            error("unknown quirk \"{name}\"")
            label(meant(near.as_deref(), "no such quirk"))
            help(quirks());
    "TW-S042" "the profile lacks the quirk",
        "The quirk that `without` names is not part of this profile, so leaving it out changes nothing. Usually another base was meant.";
        QuirkNotThere { quirk: &'static str, profile: &'static str }
            error("the profile {profile} doesn't have the quirk {quirk}")
            label("not in this profile")
            help("take it out of `without`: there is nothing to switch off");
    "TW-S043" "the profile has the quirk already",
        "The quirk that `with` names is part of this profile, so naming it changes nothing. Usually another base was meant, or `without`.";
        QuirkThere { quirk: &'static str, profile: &'static str }
            error("the profile {profile} has the quirk {quirk} already")
            label("in this profile already")
            help("take it out of `with`, or name it in `without` to mend it");
    "TW-S044" "the profile has no af-packet-mode",
        "A chardev with `af-packet-mode` is of the RFC's fourth version: no other QEMU knows the word, and would not start.";
        NoAfPacketMode { profile: &'static str }
            error("the profile {profile} has no `af-packet-mode`")
            label("not in this profile")
            help("say `profile: rfc-v4`, or capture and inject as this profile does");
    "TW-S050" "a name that nothing has",
        "A step, an expectation or a part of the topology names a netdev, port, chardev, namespace, bridge or object that the scenario doesn't declare. The nearest name is suggested and all are listed.";
        UnknownName { what: &'static str, name: String, near: Option<String>, known: String }
            error("there is no {what} \"{name}\"")
            label(meant(near.as_deref(), format!("no such {what}")))
            help(declared(what, known));
    "TW-S051" "the wrong kind of port",
        "The name exists, but the step can't be done there: frames are sent at guest ports, host ports, link ends and framed chardev ports; bytes are written to chardev ports; interfaces of the host are host ports and link ends. A netdev that is not a TAP has no ports, nor has a chardev whose far end another chardev holds.";
        WrongPort { name: String, is: &'static str, verb: &'static str, needs: &'static str, help: String }
            error("\"{name}\" {is}; {verb} needs {needs}")
            label(format!("must be {needs}"))
            help(help.as_str());
    "TW-S052" "chardevs that can't be joined",
        "Two socket chardevs with one address are joined when one is the server and the other the client. Two servers can't listen there, and a server has one client at a time. A path is known to all machines; a host and port is looked for among the servers of all machines, 127.0.0.1 in the client's own.";
        Join { reason: String, help: &'static str }
            error("{reason}")
            label("this one")
            help(*help);
    "TW-S053" "a guest that can't be migrated",
        "`migrate` stops a machine and lets its guest go on in another one, which waits for it: `incoming: true`, QEMU's -incoming. The guest notices nothing, so it finds its NICs there: TAPs of the same ids, with the same `mac` and `nic`. A machine that waits for a guest has none of its own.";
        Migration { reason: String, help: &'static str }
            error("{reason}")
            label("here")
            help(*help);
    "TW-S054" "a bridge in another namespace",
        "A bridge holds interfaces of its own namespace only; so does the kernel's. Two namespaces are joined by a link, of which the bridge holds one end.";
        OtherNamespace { port: String, of: String, bridge: String, bridge_of: String }
            error("{port} is in {of}, and the bridge {bridge} in {bridge_of}")
            label("another namespace")
            help("name a bridge of the same namespace, or move the end of a link that leads there");
    "TW-S060" "a step without exactly one verb",
        "A step is a map with one verb and that verb's own keys beside it. Two verbs are two steps.";
        StepShape { reason: String }
            error("{reason}")
            label("not a step")
            help("a step is a map with one verb: `- send: hn0.guest`, `- advance: 3s`");
    "TW-S061" "unknown verb",
        "Verbs are QMP's command names, letter for letter (object-add, set_link), and tapwright's own. The nearest is suggested.";
        UnknownVerb { verb: String, near: Option<String> }
            error("unknown verb `{verb}`")
            label(meant(near.as_deref(), "no such verb"))
            help(format!("the verbs are {}", VERB_NAMES.join(", ")));
    "TW-S062" "nothing would happen",
        "The step sends, writes, changes or expects nothing as it stands.";
        Nothing { what: &'static str, help: &'static str }
            error("{what}")
            label("to no effect")
            help(*help);
    "TW-S063" as TOO_MUCH "too many frames or bytes",
        "All cases of a file together may hold so many frames and so many bytes. `repeat` and `fill` grow quickly, and a transcript of that size helps nobody.";
        // Without `most` all kinds together take too much memory.
        TooMuch { what: &'static str, factors: String, most: Option<usize>, is_traffic: bool }
            error("too many {what}: {factors}; {}", limit(*most))
            code(if *is_traffic { TOO_MUCH } else { GROWTH })
            label("the limit is passed here")
            help(if *is_traffic {
                "send less, or split the scenario"
            } else {
                "take factors of the product out (values of `matrix`, references, repetitions, devices), or split the scenario into several files"
            });
    "TW-S064" "a command without its machine",
        "Each machine has a monitor of its own. Where a scenario has several machines, a command is given to one of them: `machine: NAME` stands beside it, and its arguments are QMP's as ever.";
        WhichMachine { known: String }
            error("this command doesn't say which machine it is for")
            label("for which machine?")
            help(format!("add `machine: NAME` beside the command; the machines are {known}"));
    "TW-S065" as GROWTH "a scenario that grows too large",
        "A file is written out before it is checked: each reference by its value, each case of the matrix with all that the file has, each repetition with its frames. What that comes to is counted as it is done, and what is too large is refused before its memory is taken. The message names what grew and the factors of the product; docs/limits.md has every limit. Devices are machines, netdevs, chardevs and objects, links, bridges, routes and namespaces, clients and impaired ports. Take values out of `matrix`, write a long text once, declare fewer devices, or split the scenario into several files.";
    "TW-S070" "layers that don't fit together",
        "A frame has at most one network and one transport layer, UDP and TCP stand on ipv4 or ipv6, icmp on ipv4, icmpv6 on ipv6, and `hex` is a whole frame that takes no layers beside it.";
        Layers { reason: String, help: &'static str }
            error("{reason}")
            label("doesn't fit")
            help(*help);
    "TW-S071" "a frame can't be built",
        "The layers are right one by one but can't be put together: a header would be too long, or a length doesn't fit its field.";
        Build { reason: String }
            error("this frame can't be built: {reason}")
            label("this frame")
            help("change the layer, or give the whole frame as `hex`");
    "TW-S072" "a virtio-net header that is lost",
        "The frame has a virtio-net header that is not zero, but nothing carries it at this port: the guest's NIC is plain, or the chardev's framing has no room for it.";
        VnetLost { port: String, help: &'static str }
            error("the virtio-net header is lost at {port}")
            label("nothing carries it")
            help(*help);
    "TW-S080" "the capture can't be read",
        "The file that `pcap` names is not there, may not be read, or is no file but a directory, a pipe or a device; or the captures of the scenario have more than 64 MiB or 1,000,000 packets together. The path is relative to the scenario's folder.";
        CaptureUnreadable { path: PathBuf, reason: String }
            error("can't read the capture {}: {reason}", path.display())
            label("asked for here")
            help("name a pcap or pcapng file; the path is relative to the scenario's folder");
        CapturesTooLarge { path: PathBuf, what: &'static str, most: usize }
            error("with {} the captures of this scenario have more than {most} {what}", path.display())
            label("asked for here")
            help("keep the packets that are needed: `editcap -r FILE NEW 1-1000`");
    "TW-S081" "the capture is broken",
        "The file is neither pcap nor pcapng, or it breaks off or contradicts itself before a packet that is asked for. `frames:` takes the packets before that place, and nothing is asked of the others; `cut: keep` and `cut: pad` also take a file whose last packet is not whole.";
        CaptureBroken { path: PathBuf, reason: String, help: &'static str }
            error("{} is not a usable capture: {reason}", path.display())
            label("asked for here")
            help(*help);
    "TW-S082" "packets that the capture lacks",
        "`frames` selects packets of the capture by number, from 1 as Wireshark counts, and one of the numbers is past the end.";
        CaptureSelection { path: PathBuf, has: usize, wanted: usize }
            error("{} has {has} packets; there is no packet {wanted}", path.display())
            label("asked for here")
            help(format!("packets are counted from 1: `frames: 1..{has}` takes all of them"));
    "TW-S083" "a packet that was cut",
        "The capture holds only the beginning of the packet (a snap length was set). To send it would be to send another packet than the one that was seen, so it has to be said: `cut: keep` sends the beginning, `cut: pad` fills up with zeros to the length that it had.";
        CaptureCut { path: PathBuf, number: usize, has: usize, was: usize }
            error("packet {number} of {} was cut to {has} of {was} bytes", path.display())
            label("asked for here")
            help("add `cut: keep` or `cut: pad`, capture again with `-s 0`, or leave the packet out with `frames:`");
    "TW-S084" "a capture outside of the root",
        "A scenario names files of its own repository or project and of nothing else, so that one that came from somebody else reads nothing of yours. The root is the nearest folder above the scenario with `tapwright.toml` or `.git` in it, else the nearest with `Cargo.toml`, else the scenario's own folder. `..` may be used as far as the root, and links that stay below it; absolute paths, and links that lead elsewhere, are refused. --allow-outside reads everything; an empty `tapwright.toml` makes a folder a root.";
        CaptureOutside { path: PathBuf, root: PathBuf, reason: String }
            error("the capture {} is outside of the root '{}': {reason}", path.display(), root.display())
            label("leads out of the root")
            help("put the capture below the root, which is the nearest folder above with `tapwright.toml` or `.git`; or, where you trust the scenario, give --allow-outside");
    "TW-S085" "a packet that is no Ethernet frame",
        "tapwright sends Ethernet frames. Packets that were captured on the interface `any`, on a tunnel, a loopback or a wireless interface begin with other headers. `as: ethernet` takes what they carry and puts an Ethernet header in front of it, with the addresses that the packet has, or else with those that a frame written in the scenario has by default. Some packets carry nothing for Ethernet: management frames of wireless networks, messages of USB.";
        CaptureNoFrame { path: PathBuf, number: usize, reason: String, help: &'static str }
            error("packet {number} of {} is no Ethernet frame: {reason}", path.display())
            label("asked for here")
            help(*help);
    "TW-S090" "unknown field",
        "`snapshot: {masks}` names fields as the transcript does: ipv4.id, tcp.seq. The nearest is suggested and all are listed.";
        UnknownField { name: String, near: Option<String>, known: String }
            error("unknown field \"{name}\"")
            label(meant(near.as_deref(), "no such field"))
            help(format!("the fields are {known}"));
    "TW-S091" "a known bug that nothing shows",
        "In the profiles of a `known_bug` the expectation, which says what is right, must fail, and the snapshot, which shows what is wrong, must match. Without an `expect` there is nothing to fail.";
        BugWithoutExpect
            error("a known bug needs an `expect` that fails while the bug is there")
            label("without an `expect`")
            help("add `expect:` with the right behaviour; the snapshot shows the wrong one");
    "TW-S092" "a quirk that never shows",
        "The profile takes the quirk over, but in this QEMU it could never be seen: another quirk of the same part comes before it, or the part that would have it is not there. Usually another base was meant, or `without` for the quirk that comes first.";
        QuirkNeverShows { quirk: &'static str, profile: &'static str, reason: String }
            error("the quirk {quirk} never shows in the profile {profile}: {reason}")
            label("without effect here")
            help("take it out of `with`, or name another `base`; what comes first is mended by `without`");
}

fn limit(most: Option<usize>) -> String {
    match most {
        Some(most) => format!("all cases of a file have at most {most}"),
        None => format!("all cases of a file take at most {} MiB of memory", budget::MEMORY >> 20),
    }
}

fn meant(near: Option<&str>, otherwise: impl Into<String>) -> String {
    near.map_or_else(|| otherwise.into(), |near| format!("did you mean `{near}`?"))
}

fn without(key: &str, needs: &str) -> String {
    if needs.starts_with('`') {
        format!("add {needs}, or leave `{key}` out")
    } else {
        format!("leave `{key}` out, or name {needs}")
    }
}

fn rename(what: &str) -> &'static str {
    match what {
        "the port" => {
            "a port is called as its chardev, as a filter-dump's file, or NETDEV.guest, \
             NETDEV.host and LINK.END: name one of the two otherwise"
        }
        _ => "give each an id of its own",
    }
}

fn quirks() -> String {
    let names: Vec<&str> = Quirk::ALL.iter().map(|quirk| quirk.name()).collect();
    format!("the quirks are {}", names.join(", "))
}

fn profiles() -> String {
    format!("the profiles are {}", QemuVersion::listed())
}

fn declared(what: &str, known: &str) -> String {
    if known.is_empty() {
        format!("this scenario declares no {what}: add one, or take the name out")
    } else {
        format!("declared here: {known}")
    }
}

/// A fault and its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) fault: Fault,
    pub(crate) span: Option<Span>,
    /// A second position that explains the first.
    pub(crate) related: Option<(Span, &'static str)>,
}

impl Found {
    /// The fault as a report on the source.
    pub(crate) fn report(&self, source: &Arc<Source>) -> Report {
        let mut report =
            Report::error(self.fault.code(), self.fault.to_string()).with_help(self.fault.help());
        if let Some(span) = self.span {
            report = report.at(source, span, self.fault.label());
        } else {
            report.source = Some(Arc::clone(source));
        }
        if let Some((span, text)) = self.related {
            report.labels.push(Label { span, text: text.to_owned() });
        }
        report
    }
}

#[cfg(test)]
mod tests {
    use super::EXPLANATIONS;

    #[test]
    fn codes_are_in_order_and_used_once() {
        assert!(EXPLANATIONS.windows(2).all(|pair| pair[0].code < pair[1].code));
    }

    #[test]
    fn every_explanation_is_a_paragraph() {
        for row in EXPLANATIONS {
            assert!(row.code.0.starts_with("TW-S") && row.code.0.len() == 7, "{}", row.code);
            assert!(row.text.len() > 60 && row.text.ends_with('.'), "{}", row.code);
            assert!(!row.title.ends_with('.') && !row.text.contains('\n'), "{}", row.code);
        }
    }
}
