//! The codes of the language, `TW-S`, and what each means.

use crate::diag::{Code, Explanation};

/// Declares codes and their explanations: the constants and the table can't drift apart.
macro_rules! codes {
    ($($name:ident = $code:literal, $title:literal, $text:literal;)+) => {
        $(pub(crate) const $name: Code = Code($code);)+

        /// Every code of the language, in order.
        pub const EXPLANATIONS: &[Explanation] =
            &[$(Explanation { code: $name, title: $title, text: $text },)+];
    };
}

codes! {
    UNREADABLE = "TW-S001", "the scenario can't be read",
        "The file is not there, may not be read, or is no file but a directory, a pipe, a device or what the kernel makes up in /proc and /sys. Name a file; a folder is searched only by `run`, `check` and `list`.";
    NOT_UTF8 = "TW-S002", "the scenario is not UTF-8",
        "A scenario is UTF-8 text, with or without a byte order mark. The message gives the first byte that is not. Save the file as UTF-8; write raw bytes as `hex` or keep them in a pcap.";
    BUDGET = "TW-S003", "the scenario is too large",
        "A scenario has at most 1 MiB, 20,000 nodes, 32 levels, and aliases may not make it longer than that. The limits protect against files that are small on disk and huge when read. Long traffic belongs into a pcap.";
    SYNTAX = "TW-S004", "the file is not YAML",
        "The parser stopped here. The cause is usually in this line or the one before: a tab, a missing quote, colon or bracket, or an indentation that fits no key above. `${name}` inside braces or brackets needs quotes.";
    DOCUMENTS = "TW-S005", "the file has several documents",
        "`---` begins a second document. A scenario is one document, so that its name is the file's name. Use one file each, or `matrix` for variants.";
    TAG = "TW-S006", "YAML tags are not used",
        "A word that begins with `!` is a YAML tag. The language has none: what a value is follows from its key. Leave the tag out, or quote the text.";
    KEY_NOT_TEXT = "TW-S007", "a key is not text",
        "A key is a list, a map, or nothing. Every key of the language is a word.";
    DUPLICATE_KEY = "TW-S008", "a key stands twice",
        "YAML's maps have each key once; most readers silently keep the last. Here both places are shown. Keep one.";
    EMPTY = "TW-S009", "the scenario is empty",
        "There is nothing to build and nothing to do: the file is empty, is not a map, or has neither `netdevs`, `chardevs`, `objects`, `links` nor `steps`.";
    UNKNOWN_KEY = "TW-S010", "unknown key",
        "The map has no key of this name, so it would have no effect. The nearest key is suggested and all of them are listed. Properties of objects are QEMU's and are not checked here.";
    MISSING_KEY = "TW-S011", "a key is missing",
        "The map needs this key. `description`, for one, is what reports and reviews show of a scenario.";
    TYPE = "TW-S012", "another kind of value is expected",
        "The key takes another kind of value. Plain on, off, yes and no are text in YAML 1.2; true and false are booleans; a quoted number is text.";
    RANGE = "TW-S013", "a number is out of range",
        "The number doesn't fit its field: a port has 16 bits, a VLAN id 12, an MTU from 68 to 65521.";
    CHOICE = "TW-S014", "not one of the words",
        "The key takes one of a few words. They are listed, and the nearest is suggested.";
    CONFLICT = "TW-S015", "two keys exclude one another",
        "The two keys say different things about one matter, so it would be unclear which holds. Keep one.";
    NEEDS = "TW-S016", "a key without the one it needs",
        "The key would have no effect as things stand. Add the one that gives it a meaning, or leave it out.";
    NOT_YET = "TW-S017", "not supported yet",
        "The word belongs to the language but is not built yet, so the scenario can't be run. The help says what can be done instead.";
    BAD_ID = "TW-S018", "not a possible id",
        "Ids follow QEMU's rule: a letter, then letters, digits, `-`, `.` and `_`. An id of a netdev or chardev has no dot here, because a port's name is `ID.guest`. Interface names have at most 15 bytes, as the kernel allows.";
    DUPLICATE_ID = "TW-S019", "an id is used twice",
        "Two things would have one name, so a step could not say which it means. Objects are an exception: QEMU itself refuses the second, and a scenario may show that.";
    MATRIX = "TW-S020", "the matrix gives no cases",
        "`matrix` is a map from a name to a list of at least one scalar. Each combination is a case.";
    UNKNOWN_VARIABLE = "TW-S021", "a reference to nothing",
        "`${name}` stands for a value of `matrix`, or, inside the frames of a `send` with `repeat`, `${i}` for the number of the repetition from 1. `$${` stands for a literal `${`.";
    BAD_REFERENCE = "TW-S022", "a malformed reference",
        "After `${` must come a name and `}`. `$${` stands for a literal `${`.";
    TOO_MANY_CASES = "TW-S023", "too many combinations",
        "The product of the matrix is over the limit. It would take long to run and nobody would review it. Split the scenario.";
    NULL_IN_TEXT = "TW-S024", "null in the middle of a text",
        "A null value leaves out the key, the list entry or the `key=${name}` of an option string that holds it. In the middle of another text there is nothing that could be left out.";
    UNUSED_VARIABLE = "TW-S025", "a name of the matrix is not used",
        "No string of the scenario refers to the name, so its values only repeat the same case. Usually a reference is misspelt.";
    DUPLICATE_CASE = "TW-S026", "two cases have one name",
        "A case is named after its values. Two equal values, or values that print alike, give one name to two cases, and a snapshot has one section for each.";
    BAD_MAC = "TW-S030", "not a MAC address",
        "A MAC address is six two-digit hexadecimal octets with colons: 52:54:00:12:34:56. Quote it where YAML might take it for a number.";
    BAD_ADDRESS = "TW-S031", "not an IP address",
        "The value is not an address of the family that the key takes, or, where an address on an interface is meant, lacks its prefix: 10.0.0.1/24. A client asks an address and a port: 10.0.0.2:80.";
    BAD_HEX = "TW-S032", "not hexadecimal bytes",
        "Bytes are pairs of hexadecimal digits; blanks between them are free. An odd digit at the end is usually a slip, so it is not padded. Quote digits: YAML takes 0012 for a number.";
    BAD_DURATION = "TW-S033", "not a duration",
        "A duration is a number and a unit: 3s, 200ms, 50us, 10ns, 2m. A bare number would leave the unit open.";
    BAD_SELECTION = "TW-S034", "not a selection of packets",
        "Packets of a capture are selected with numbers from 1 and ranges with both ends: 3, 1..5, or a list of these.";
    OPTION_STRING = "TW-S035", "not an option string",
        "QEMU's -chardev takes `backend,id=NAME,key=value,...`. A comma inside a value is doubled. A boolean may stand as its bare name.";
    BAD_FILL = "TW-S036", "not bytes to fill with",
        "`{fill, len}` repeats one byte, given as a number from 0 to 255 or as two hexadecimal digits, `len` times.";
    BAD_IMPAIRMENT = "TW-S037", "not an impairment",
        "Impairments are written as tc-netem writes them: a share of frames as a percentage, 10% or 0.1%; a rate in bits with its unit, 500kbit, 1mbit or 10gbit; delays as durations.";
    UNKNOWN_PROFILE = "TW-S040", "unknown profile",
        "A profile says which QEMU is modelled: qemu-7.2, qemu-10.2, rfc (10.2 with in_netdev and out_netdev), ideal (rfc with every quirk mended).";
    UNKNOWN_QUIRK = "TW-S041", "unknown quirk",
        "A quirk is a named way in which a QEMU departs from what it promises. `profile: {base, without: [...]}` mends some of them.";
    QUIRK_NOT_THERE = "TW-S042", "the profile lacks the quirk",
        "The quirk that `without` names is not part of this profile, so leaving it out changes nothing. Usually another base was meant.";
    UNKNOWN_NAME = "TW-S050", "a name that nothing has",
        "A step, an expectation or a part of the topology names a netdev, port, chardev, namespace, bridge or object that the scenario doesn't declare. The nearest name is suggested and all are listed.";
    WRONG_PORT = "TW-S051", "the wrong kind of port",
        "The name exists, but the step can't be done there: frames are sent at guest ports, host ports, link ends and framed chardev ports; bytes are written to chardev ports; interfaces of the host are host ports and link ends. A netdev that is not a TAP has no ports, nor has a chardev whose far end another chardev holds.";
    JOIN = "TW-S052", "chardevs that can't be joined",
        "Two socket chardevs with one address are joined when one is the server and the other the client. Two servers can't listen there, and a server has one client at a time. A path is known to all machines; a host and port is looked for among the servers of all machines, 127.0.0.1 in the client's own.";
    STEP_SHAPE = "TW-S060", "a step without exactly one verb",
        "A step is a map with one verb and that verb's own keys beside it. Two verbs are two steps.";
    UNKNOWN_VERB = "TW-S061", "unknown verb",
        "Verbs are QMP's command names, letter for letter (object-add, set_link), and tapwright's own. The nearest is suggested.";
    NOTHING = "TW-S062", "nothing would happen",
        "The step sends, writes, changes or expects nothing as it stands.";
    TOO_MUCH = "TW-S063", "too many frames or bytes",
        "All cases of a file together may hold so many frames and so many bytes. `repeat` and `fill` grow quickly, and a transcript of that size helps nobody.";
    WHICH_MACHINE = "TW-S064", "a command without its machine",
        "Each machine has a monitor of its own. Where a scenario has several machines, a command is given to one of them: `machine: NAME` stands beside it, and its arguments are QMP's as ever.";
    GROWTH = "TW-S065", "a scenario that grows too large",
        "A file is written out before it is checked: each reference by its value, each case of the matrix with all that the file has, each repetition with its frames. What that comes to is counted as it is done, and what is too large is refused before its memory is taken. The message names what grew and the factors of the product; docs/limits.md has every limit. Devices are machines, netdevs, chardevs and objects, links, bridges, routes and namespaces, clients and impaired ports. Take values out of `matrix`, write a long text once, declare fewer devices, or split the scenario into several files.";
    LAYERS = "TW-S070", "layers that don't fit together",
        "A frame has at most one network and one transport layer, UDP and TCP stand on ipv4 or ipv6, icmp on ipv4, icmpv6 on ipv6, and `hex` is a whole frame that takes no layers beside it.";
    BUILD = "TW-S071", "a frame can't be built",
        "The layers are right one by one but can't be put together: a header would be too long, or a length doesn't fit its field.";
    VNET_LOST = "TW-S072", "a virtio-net header that is lost",
        "The frame has a virtio-net header that is not zero, but nothing carries it at this port: the guest's NIC is plain, or the chardev's framing has no room for it.";
    CAPTURE_UNREADABLE = "TW-S080", "the capture can't be read",
        "The file that `pcap` names is not there, may not be read, or is no file but a directory, a pipe or a device; or the captures of the scenario have more than 64 MiB or 1,000,000 packets together. The path is relative to the scenario's folder.";
    CAPTURE_BROKEN = "TW-S081", "the capture is broken",
        "The file is neither pcap nor pcapng, ends in the middle of a packet, or its lengths contradict one another.";
    CAPTURE_SELECTION = "TW-S082", "packets that the capture lacks",
        "`frames` selects packets of the capture by number, from 1 as Wireshark counts, and one of the numbers is past the end.";
    CAPTURE_CUT = "TW-S083", "a packet that was cut",
        "The capture holds only the beginning of the packet (a snap length was set). To send it would be to send another packet than the one that was seen.";
    CAPTURE_OUTSIDE = "TW-S084", "a capture outside of the root",
        "A scenario names files of its own repository or project and of nothing else, so that one that came from somebody else reads nothing of yours. The root is the nearest folder above the scenario with `tapwright.toml` or `.git` in it, else the nearest with `Cargo.toml`, else the scenario's own folder. `..` may be used as far as the root, and links that stay below it; absolute paths, and links that lead elsewhere, are refused. --allow-outside reads everything; an empty `tapwright.toml` makes a folder a root.";
    UNKNOWN_FIELD = "TW-S090", "unknown field",
        "`snapshot: {masks}` names fields as the transcript does: ipv4.id, tcp.seq. The nearest is suggested and all are listed.";
    BUG_WITHOUT_EXPECT = "TW-S091", "a known bug that nothing shows",
        "In the profiles of a `known_bug` the expectation, which says what is right, must fail, and the snapshot, which shows what is wrong, must match. Without an `expect` there is nothing to fail.";
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
