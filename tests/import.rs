//! Drives `tapwright import` and `tapwright export` over what people paste.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
    sync::Arc,
};

use proptest::prelude::*;
use rstest::rstest;
use serde_json::Value;
use tapwright::{
    diag::Source,
    scenario::{QMP_VERBS, tree},
};
use tempfile::TempDir;
use test_support::{stderr, stdout, tapwright};

fn fixture(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    root.join(name).to_str().unwrap().to_owned()
}

fn import(folder: &TempDir, file: &str, more: &[&str]) -> Output {
    tapwright(folder.path(), &[&["import", "--file", file], more].concat())
}

/// The texts under a key of a scenario, those of its machines in order.
fn declared(text: &str, key: &str) -> Vec<Value> {
    let source = Source { path: "a.yaml".into(), text: text.to_owned() };
    let root = tree::read(&Arc::new(source)).unwrap();
    let machines = root.get("machines").and_then(Value::as_object);
    let parts: Vec<&Value> = machines.map_or(vec![&root], |all| all.values().collect());
    let lists = parts.iter().filter_map(|part| part.get(key)?.as_array());
    lists.flatten().cloned().collect()
}

/// Each paste imports as it is, and `check` finds nothing.
#[rstest]
fn a_paste_is_a_scenario(#[files("fixtures/qemu-cmdlines/*.txt")] path: PathBuf) {
    let folder = TempDir::new().unwrap();
    let name = path.file_stem().unwrap().to_str().unwrap();
    let imported = import(&folder, path.to_str().unwrap(), &[]);
    let (text, said) = (stdout(&imported), stderr(&imported));
    insta::with_settings!({ snapshot_path => "snapshots/import", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(name, if said.is_empty() { text.clone() } else { format!("{text}\n{said}") });
    });
    assert_eq!(imported.status.code(), Some(0), "{said}");
    fs::write(folder.path().join("a.yaml"), &text).unwrap();
    let checked = tapwright(folder.path(), &["check", "a.yaml"]);
    assert_eq!(checked.status.code(), Some(0), "{}", stderr(&checked));
    // What is exported and imported again has the same objects in the same order.
    let exported = tapwright(folder.path(), &["export", "a.yaml"]);
    assert_eq!(exported.status.code(), Some(0), "{}", stderr(&exported));
    fs::write(folder.path().join("a.txt"), &exported.stdout).unwrap();
    let again = stdout(&import(&folder, "a.txt", &[]));
    for key in ["objects", "chardevs", "netdevs"] {
        let one = declared(&text, key);
        assert_eq!(one, declared(&again, key), "{key}\n{}", stdout(&exported));
        if key == "objects" {
            assert!(!one.is_empty() || !text.contains("filter-") || text.contains("object-add"));
        }
    }
}

/// The whole of a manual is two machines and no step: how one of them goes on alone stands in
/// comments, each way with its machine.
#[test]
fn the_whole_manual_is_two_machines() {
    let folder = TempDir::new().unwrap();
    let text = stdout(&import(&folder, &fixture("qemu-cmdlines/colo-manual.txt"), &[]));
    for expected in [
        "\n  primary:\n    netdevs: [\"tap,id=hn0,",
        "\n  secondary:\n    netdevs: [\"tap,id=hn0,",
        "# Left out, one of several ways to go on: Primary Failover\n",
        "#     - object-del: comp0\n#       machine: primary\n",
        "# Left out, one of several ways to go on: Secondary Failover\n",
        "#     - object-del: f2\n#       machine: secondary\n",
        "# Left out, one of several ways to go on: Primary resume replication\n",
        "# Left out, one of several ways to go on: Secondary resume replication\n",
        "#   no step for migrate {\"uri\":\"tcp:127.0.0.1:9998\"}\n",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
    assert!(!text.contains("\nsteps:"), "{text}");
}

/// What is typed at a machine that a heading names is that machine's step.
#[test]
fn headings_name_the_machine_of_a_command() {
    let folder = TempDir::new().unwrap();
    let text = "Primary:\nqemu-system-x86_64 -name primary -netdev tap,id=hn0\nSecondary:\n\
                qemu-system-x86_64 -name secondary -netdev tap,id=hn0\n\n\
                **Primary:** remove the mirror\n\
                {\"execute\": \"object-del\", \"arguments\": {\"id\": \"m0\"}}\n\n\
                ## Notes\n\
                {\"execute\": \"object-del\", \"arguments\": {\"id\": \"m1\"}}\n";
    fs::write(folder.path().join("a.txt"), text).unwrap();
    let text = stdout(&import(&folder, "a.txt", &[]));
    assert!(text.contains("  - object-del: m0\n    machine: primary\n"), "{text}");
    let assumed = "no heading says which machine its commands are for";
    assert!(text.contains(assumed), "{text}");
}

/// What people's texts lose where they are read line by line.
#[rstest]
#[case::more_prose_than_is_shown(
    &format!("{}[rr]-object filter-replay,id=replay,netdev=net0\n$ qemu-system-x86_64 -netdev \
              tap,id=net0\n", "A line of prose.\n".repeat(20)),
    &["filter-replay,id=replay,netdev=net0"], &[]
)]
#[case::two_backslashes(
    "qemu-system-x86_64 -netdev tap,id=n0 \\\\\n -object filter-dump,id=d0,netdev=n0,file=x.pcap\n",
    &["  - filter-dump,id=d0,netdev=n0,file=x.pcap\n"], &["Left out"]
)]
#[case::quoted_printable(
    "qemu-system-x86_64 -netdev tap,id=3Dhn0 -object filter-mirror,id=3Dm0,netdev=3Dhn0,=\n\
     queue=3Dtx,outdev=3Do\n",
    &["- filter-mirror,id=m0,netdev=hn0,queue=tx,outdev=o\n"], &["3D"]
)]
#[case::two_of_a_key(
    "qemu-system-x86_64 -netdev user,id=m,hostfwd=tcp::1-:2,hostfwd=tcp::3-:4\n",
    &["hostfwd=tcp::1-:2", "hostfwd=tcp::3-:4"], &[]
)]
#[case::labels(
    "primary:\n-netdev tap,id=hn0\n-device e1000,netdev=hn0,mac=52:a4:00:12:78:66\n\nsecondary:\n\
     -netdev tap,id=hn0\n-device e1000,netdev=hn0,mac=52:a4:00:12:78:66\n",
    &["  primary: { netdevs: [\"tap,id=hn0,mac=52:a4:00:12:78:66\"] }\n", "  secondary: {"],
    &["Duplicate"]
)]
#[case::a_synopsis(
    "-object colo-compare,id=id,primary_in=c,iothread=id[,vnet_hdr_support]\nqemu-system-x86_64 \
     -netdev tap,id=hn0\n",
    &["#   -object colo-compare,id=id,primary_in=c,iothread=id[,vnet_hdr_support]\n"], &["made up"]
)]
#[case::a_list_that_goes_on(
    "qemu-system-x86_64 -netdev tap,id=hn0 -object filter-mirror,id=m0,netdev=hn0,\n\
     and then a line\nqueue=tx,outdev=o\n",
    &["queue=tx,outdev=o"], &[]
)]
fn nothing_is_lost(#[case] text: &str, #[case] has: &[&str], #[case] has_not: &[&str]) {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("a.txt"), text).unwrap();
    let text = stdout(&import(&folder, "a.txt", &[]));
    for part in has {
        assert!(text.contains(part), "{part}\n{text}");
    }
    for part in has_not {
        assert!(!text.contains(part), "{part}\n{text}");
    }
}

/// Whose a command is, what a template holds, how often a loop turns.
#[rstest]
#[case::a_host_in_a_log(
    "2024-05-01T10:00:00+0000 left runner[1]: qemu-system-x86_64 -netdev tap,id=n0\n\
     2024-05-01T10:00:01+0000 right runner[1]: qemu-system-x86_64 -netdev tap,id=n0\n\
     2024-05-01T10:00:09+0000 left agent[2]: SEND: {\"execute\": \"stop\"}\n",
    &["  left: {", "  right: {", "  - stop: null\n    machine: left\n"]
)]
#[case::a_monitors_socket(
    "qemu-system-x86_64 -name a -netdev tap,id=n0 -qmp unix:/tmp/a.q,server\n\n\
     qemu-system-x86_64 -name b -netdev tap,id=n0 -qmp unix:/tmp/b.q,server\n\n\
     $ socat - UNIX-CONNECT:/tmp/a.q\n{\"execute\": \"stop\"}\n",
    &["  - stop: null\n    machine: a\n"]
)]
#[case::what_is_echoed_to_a_monitor(
    "qemu-system-x86_64 -name a -netdev tap,id=n0 -monitor tcp:127.0.0.1:5551,server\n\
     qemu-system-x86_64 -name b -netdev tap,id=n0 -monitor tcp:127.0.0.1:5552,server\n\
     echo stop | nc 127.0.0.1 5551\n",
    &["  - stop: null\n    machine: a\n"]
)]
#[case::a_heading_in_german(
    "qemu-system-x86_64 -name primary -netdev tap,id=n0\n\nqemu-system-x86_64 -name secondary -netdev \
     tap,id=n0\n\nDann auf dem primären Host:\n(qemu) object_del m0\n",
    &["  - object-del: m0\n    machine: primary\n"]
)]
#[case::containers(
    "left:\n  args: [qemu-system-x86_64, -netdev, \"tap,id=n0\"]\nright:\n  args: [qemu-system-x86_64, \
     -netdev, \"tap,id=n1\"]\n",
    &["  left: { netdevs: [\"tap,id=n0\"] }\n", "  right: { netdevs: [\"tap,id=n1\"] }\n"]
)]
#[case::a_template_with_a_default(
    "vars:\n  nets: [a, b]\nrun: |\n  qemu-system-x86_64 -netdev tap,id={{ nets[1] }} -name {{ x | \
     default('y') }}\n",
    &["tap,id=b"]
)]
#[case::a_loop(
    "import os\nargs = [\"qemu-system-x86_64\"]\nfor i in range(2):\n    args += [\"-netdev\", \
     \"tap,id=n%d,ifname=t%02x\" % (i, i + 14)]\nos.execv(args[0], args)\n",
    &["tap,id=n0,ifname=t0e", "tap,id=n1,ifname=t0f"]
)]
#[case::a_loop_over_what_is_not_known(
    "args = [\"qemu-system-x86_64\"]\nfor n in names():\n    args += [\"-netdev\", f\"tap,id={n}\"]\n",
    &["# A loop is not unrolled, line 2,"]
)]
#[case::paths_of_a_batch_file(
    "@echo off\nset D=C:\\vm\nqemu-system-x86_64.exe -netdev tap,id=n0 ^\n -object \
     filter-dump,id=d0,netdev=n0,file=%D%\\a.pcap\n",
    &["file=a.pcap for file=C:\\vm\\a.pcap"]
)]
#[case::a_configuration_and_its_command_line(
    "conf: -object filter-dump,id=d0,netdev=n0,file=a.pcap\n\n$ qemu-system-x86_64 -netdev tap,id=n0 \
     -object filter-dump,id=d0,netdev=n0,file=a.pcap\n",
    &["\nnetdevs: ["]
)]
#[case::stopped_until_cont(
    "qemu-system-x86_64 -name a -S -netdev tap,id=n0\n(qemu) cont\n",
    &["  a: { stopped: true,", "  - cont: null\n    machine: a\n"]
)]
#[case::a_migration(
    "Source:\nqemu-system-x86_64 -netdev tap,id=n0\nDestination:\nqemu-system-x86_64 -netdev tap,id=n0 \
     -incoming tcp:0:4444\nOn the source:\n(qemu) migrate -d tcp:10.0.0.2:4444\n",
    &["incoming: true", "  - migrate: { from: source, to: destination }\n", "mac=52:54:00:12:34:56"]
)]
fn a_command_has_its_machine(#[case] text: &str, #[case] has: &[&str]) {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("a.txt"), text).unwrap();
    let output = import(&folder, "a.txt", &[]);
    let text = stdout(&output);
    for part in has {
        assert!(text.contains(part), "{part}\n{text}\n{}", stderr(&output));
    }
}

/// The forms in which an option stands, with `@` where it is.
const FORMS: &[&str] = &[
    "qemu-system-x86_64 @\n",
    "> > qemu-system-x86_64 -m 1 \\\n> >   @\n",
    "#!/bin/sh\nnet=\"@\"\nexec qemu-system-x86_64 -S $net\n",
    "args=(\n  -S\n  @\n)\nqemu-system-x86_64 \"${args[@]}\"\n",
    "f() {\n  echo \"@\"\n}\nqemu-system-x86_64 $(f)\n",
    "if [ -n \"$X\" ]; then\n  qemu-system-x86_64 @\nelse\n  exit 1\nfi\n",
    "if [ -n \"$X\" ]; then\n  N=\"-nic none\"\nelse\n  N=\"@\"\nfi\nqemu-system-x86_64 $N\n",
    "case $1 in\nprimary) qemu-system-x86_64 -nic none;;\n*) qemu-system-x86_64 @;;\nesac\n",
    "cat <<E | sh\nqemu-system-x86_64 @\nE\n",
    "FLAGS = -S\nFLAGS += @\nrun:\n\t$(QEMU) $(FLAGS)\n",
    "[Service]\nExecStart=/usr/bin/qemu-system-x86_64 -S \\\n  @\n",
    "FROM x\nCMD qemu-system-x86_64 @\n",
    "cmd = \"qemu-system-x86_64 -S \" + \"@\"\nrun(cmd)\n",
    "char *args = \"-S \"\n    \"@\";\n",
    "run:\n  script:\n    - qemu-system-x86_64 @\n",
    "<pre>qemu-system-x86_64 @ &amp;&amp; true</pre>\n",
    "Use `@` here.\n",
    "| primary | `qemu-system-x86_64 @` |\n",
    "Primary:\n@\nSecondary:\nqemu-system-x86_64 -S\n",
    "## Failover\n@\n## Resume\nqemu-system-x86_64 -nic none\n",
    "@@ -1 +1 @@\n-@\n+qemu-system-x86_64 -S\n",
    "Some prose (with brackets [and more, @ and so on.\n",
    "tmux send-keys \"qemu-system-x86_64 @\" Enter\n",
];

/// Programs, with `@S` where the words of options stand in single quotes, and `@D` in double quotes.
const PROGRAMS: &[&str] = &[
    "#include <unistd.h>\n#define QEMU \"qemu-system-x86_64\"\nstatic char *const args[] = {\n    QEMU, \"-S\",\n    @D,\n    NULL\n};\n\nint main(void)\n{\n    execv(args[0], args);\n}\n",
    "package main\n\nconst (\n\tqemu = \"qemu-system-x86_64\"\n)\n\nfunc main() {\n\targs := []string{\"-S\"}\n\tfor _, o := range []string{\n\t\t@D,\n\t} {\n\t\targs = append(args, o)\n\t}\n\texec.Command(qemu, args...).Run()\n}\n",
    "use strict;\nuse warnings;\nmy @cmd = ('qemu-system-x86_64', '-S');\nforeach my $o (@S) {\n    push @cmd, $o;\n}\nexec @cmd;\n",
    "param(\n    [string]$Name = 'a'\n)\n$options = @(\n    @S\n)\nStart-Process -FilePath 'qemu-system-x86_64.exe' -ArgumentList $options\n",
    "job \"a\" {\n  task \"b\" {\n    config {\n      command = \"qemu-system-x86_64\"\n      args = [@D]\n    }\n  }\n}\n",
    "fn main() {\n    let mut cmd = Command::new(\"qemu-system-x86_64\");\n    cmd.arg(\"-S\").args([@D]);\n    cmd.spawn();\n}\n",
    "const { spawn } = require('child_process');\nconst args = ['-S', @S];\nspawn('qemu-system-x86_64', args);\n",
    "FROM x\nENV A=b C=d\nCOPY <<E /run.sh\nset -- qemu-system-x86_64 -S\nset -- \"$@\" @\nexec \"$@\"\nE\nENTRYPOINT [\"/run.sh\"]\n",
    "args=()\none() { args+=(@); }\nother() { args+=(-nic none); }\ncase \"$1\" in\nprimary) one ;;\nsecondary) other ;;\nesac\nqemu-system-x86_64 \"${args[@]}\"\n",
    "name = a\nparams_vm1 = \" @\"\nparams_vm2 = \" -nic user\"\nparams_vm2 += \" -S\"\n",
];

/// A text of a form, with options in it.
fn embedded(form: &str, options: &str) -> String {
    let quoted = |mark: &str| {
        let words = options.split(' ').map(|word| match mark {
            "'" => format!("'{word}'"),
            _ => format!("\"{}\"", word.replace('"', "\\\"")),
        });
        words.collect::<Vec<_>>().join(", ")
    };
    if form.contains("@S") || form.contains("@D") {
        return form.replace("@S", &quoted("'")).replace("@D", &quoted("\""));
    }
    form.replacen('@', options, 1).replace("@@", "@")
}

/// An option that a machine can't have, or of which a part is not known.
fn broken() -> impl Strategy<Value = String> {
    let kind = prop::sample::select(vec![
        "-netdev tap,id=@",
        "-netdev tap,id=@,ifname=${TAP}",
        "-netdev tap,id=@,ifname=much-too-long-for-linux",
        "-netdev tap",
        "-netdev bogus,id=@",
        "-netdev ${NET}",
        "-netdev tap,id=9@",
        "-netdev socket,id=@,listen=:${WIRE}",
        "-netdev socket,id=@,connect=127.0.0.1:4000",
        "-netdev hubport,id=@,hubid=${HUB}",
        "-netdev {\"type\":\"tap\",\"id\":\"@\",\"ifname\":\"${TAP}\"}",
        "-chardev socket,id=@,host=${HOST},port=${PORT},server=on,wait=off",
        "-chardev socket,id=@,host=127.0.0.1,port=99999",
        "-chardev socket,id=@",
        "-chardev socket,id=@,path=${DIR}/x",
        "-chardev udp,id=@,host=::1",
        "-chardev ,id=@",
        "-object filter-mirror,id=@,netdev=@,queue=${QUEUE},outdev=@",
        "-object filter-buffer,id=@,netdev=a,interval=abc",
        "-object filter-nope,id=@,netdev=a",
        "-object ${KIND},id=@",
        "-object filter-dump,id=@,netdev=a,file=${DIR}",
        "-object colo-compare,id=@,primary_in=a,secondary_in=b,outdev=c,iothread=i",
        "-device e1000,netdev=@,mac=xx",
        "-device e1000,netdev=@,mac=${MAC}",
        "-nic tap,id=@,mac=${MAC}",
        "-incoming tcp:0:4444",
    ]);
    (kind, "[a-c]").prop_map(|(kind, id)| kind.replace('@', &id))
}

fn option() -> impl Strategy<Value = (String, String)> {
    let id = "[a-z][a-z0-9]{5,8}";
    let kind = prop::sample::select(vec![
        "-netdev tap,id=@",
        "-netdev user,id=@,net=10.0.2.0/24",
        "-netdev {\"type\":\"tap\",\"id\":\"@\"}",
        "-chardev socket,id=@,path=/tmp/x,server=on,wait=off",
        "-chardev null,id=@",
        "-object filter-mirror,id=@,netdev=n,queue=tx,outdev=o",
        "-object filter-dump,id=@,netdev=n,file=/tmp/x.pcap",
        "-object colo-compare,id=@,primary_in=a,secondary_in=b,outdev=c,iothread=i",
        "-object iothread,id=@",
        "-nic tap,id=@",
        "-net tap,id=@",
        "-nic user -net nic,model=e1000,netdev=@",
        "-nic user -device virtio-net-pci,netdev=@",
        "-nic user --device e1000,netdev=@,mac=52:54:00:12:34:56",
    ]);
    (kind, id).prop_map(|(kind, id)| (kind.replace('@', &id), id))
}

proptest! {
    /// Wherever an option of the net layer stands, the scenario has it or a comment names it.
    #[test]
    fn an_option_is_in_the_scenario_or_named(
        (option, id) in option(),
        form in prop::sample::select([FORMS, PROGRAMS].concat()),
        before in prop::sample::select(vec!["", "Hello,\n\n", "It's \"so\n", "```\n", "a=(\n", "- x\n"]),
        more in prop::sample::select(vec!["", "\nqemu-system-x86_64 -nic user\n", "\n}\n", "\nEOF\n"]),
    ) {
        let text = format!("{before}{}{more}", embedded(form, &option));
        match tapwright::import::paste(&text) {
            Ok(Some(draft)) => {
                let made = draft.text();
                prop_assert!(made.contains(&id), "{option}\n---\n{text}\n---\n{made}");
            }
            other => prop_assert!(false, "{text}\n---\n{:?}", other.map(|draft| draft.is_some())),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever a text holds: what is imported of it passes `check`, or it is refused with a diagnostic and
    /// nothing is written.
    #[test]
    fn what_is_imported_passes_check(
        options in prop::collection::vec(broken(), 1..6),
        form in prop::sample::select([FORMS, PROGRAMS].concat()),
        more in prop::sample::select(vec!["", "\nqemu-system-x86_64 -netdev tap,id=a -name b\n(qemu) object_del ${X}\n"]),
    ) {
        let folder = TempDir::new().unwrap();
        let text = format!("{}{more}", embedded(form, &options.join(" ")));
        fs::write(folder.path().join("a.txt"), &text).unwrap();
        let imported = import(&folder, "a.txt", &[]);
        let (made, said) = (stdout(&imported), stderr(&imported));
        if imported.status.code() != Some(0) {
            prop_assert!(made.is_empty() && said.contains("TW-"), "{text}\n---\n{made}\n---\n{said}");
            return Ok(());
        }
        fs::write(folder.path().join("a.yaml"), &made).unwrap();
        let checked = tapwright(folder.path(), &["check", "a.yaml"]);
        prop_assert_eq!(checked.status.code(), Some(0), "{}\n---\n{}\n---\n{}", text, made, stderr(&checked));
    }
}

/// What commands of a monitor stand in: `H` is the command as a person types it, `J` as QMP has it, `E` that in a
/// string, `K` as qmp-shell takes it, `P` as a program gives it to a function; `M` is the machine's name.
const WRAPPINGS: &[&str] = &[
    "[@M] (qemu) @H\n",
    "# on @M:\n(qemu) @H\n",
    "> > On @M:\n> > (qemu) @H\n",
    "$ sudo virsh qemu-monitor-command @M --hmp '@H'\n",
    "$ virsh qemu-monitor-command --pretty @M '@J'\n",
    "ssh root@host \"virsh qemu-monitor-command @M --hmp \\\"@H\\\"\"\n",
    "check_call([\"virsh\", \"qemu-monitor-command\", \"@M\", \"--hmp\", \"@H\"])\n",
    "- name: take it away\n  shell: virsh qemu-monitor-command @M '@J'\n",
    "echo '@H' | nc -U /tmp/@M.mon\n",
    "printf '@H\\n' | sudo socat - UNIX-CONNECT:/tmp/@M.mon\n",
    "socat - UNIX-CONNECT:/tmp/@M.mon <<< '@H'\n",
    "nc -U /tmp/@M.mon <<EOF\n@H\nEOF\n",
    "$ qmp-shell /tmp/@M.mon\n(QEMU) @K\n",
    "2024-05-01 12:00:01.123 @M monitor[7]: -> @J\n",
    "12:00:01 @M DEBUG SEND: @J\n",
    "step 7, @M:\nwrite(5, \"@E\\r\\n\", 71) = 71\n",
    "{\"vm\": \"@M\", \"qmp\": @J},\n",
    "| 3 | @M | `@H` |\n",
    "self.vm_@M.cmd(@P)\n",
    "        vm_@M.qmp(@P)\n",
    "@M.Run([]byte(`@J`))\n",
    "libvirt_qemu.qemuMonitorCommand(@M, '@J', 0)\n",
    "hmp(\"@M\", \"@H\")\n",
    "    run hmp @M \"@H\"\n",
    "    Run QMP    @M    @K\n",
    "Then, on @M, ``@K`` takes it away.\n",
];

/// A command in each of these forms, by its id, and whether a scenario has a step for it.
fn monitor_command() -> impl Strategy<Value = (Vec<(char, String)>, String, bool)> {
    let kinds = vec![
        ("object_del @", "object-del", "id=@", true),
        ("chardev-remove @", "chardev-remove", "id=@", true),
        ("netdev_del @", "netdev_del", "id=@", true),
        ("device_del @", "device_del", "id=@", false),
        (
            "qom-set /objects/@ status off",
            "qom-set",
            "path=/objects/@ property=status value=off",
            true,
        ),
        ("migrate tcp:@:4444", "migrate", "uri=tcp:@:4444", false),
    ];
    (prop::sample::select(kinds), "[a-z]{6}[0-9]{2}").prop_map(
        |((human, name, args, is_step), id)| {
            let (human, args) = (human.replace('@', &id), args.replace('@', &id));
            let pairs = args.split(' ').filter_map(|pair| pair.split_once('='));
            let map: serde_json::Map<String, Value> =
                pairs.clone().map(|(key, value)| (key.to_owned(), value.into())).collect();
            let json = serde_json::json!({ "execute": name, "arguments": map }).to_string();
            let words: Vec<String> = pairs.map(|(key, value)| format!("{key}='{value}'")).collect();
            let escaped = json.replace('"', "\\\"");
            let forms = vec![
                ('H', human),
                ('J', json),
                ('E', escaped),
                ('K', format!("{name} {args}")),
                ('P', format!("'{name}', {}", words.join(", "))),
            ];
            (forms, id, is_step)
        },
    )
}

proptest! {
    /// Whatever a command stands in, it is a step of its machine, or a comment names it.
    #[test]
    fn a_command_is_a_step_or_named(
        commands in prop::collection::vec(
            (monitor_command(), prop::sample::select(WRAPPINGS), prop::sample::select(vec!["left", "right", "web1"])),
            1..5,
        ),
        apart in prop::sample::select(vec!["", "\n", "\nSo it goes on.\n\n", "{\"return\": {}}\n"]),
    ) {
        let ids: std::collections::BTreeSet<&String> = commands.iter().map(|((_, id, _), ..)| id).collect();
        prop_assume!(ids.len() == commands.len());
        let mut text = String::new();
        for name in ["left", "right", "web1"] {
            text += &format!("qemu-system-x86_64 -name {name} -netdev tap,id=n0 -monitor unix:/tmp/{name}.mon,server\n\n");
        }
        for ((forms, ..), wrapping, name) in &commands {
            let filled = wrapping.replace("@M", name);
            let filled = forms.iter().fold(filled, |text, (mark, form)| text.replace(&format!("@{mark}"), form));
            text += &filled;
            text += apart;
        }
        let draft = tapwright::import::paste(&text).unwrap().unwrap();
        let made = draft.text();
        let tree = draft.tree();
        let steps: Vec<Value> = tree.get("steps").and_then(Value::as_array).cloned().unwrap_or_default();
        let mut last = 0;
        for ((_, id, is_step), wrapping, name) in &commands {
            let step = steps.iter().position(|step| step.to_string().contains(id.as_str()));
            match step {
                Some(at) => {
                    prop_assert_eq!(steps[at]["machine"].as_str(), Some(*name), "{}\n---\n{}\n---\n{}", wrapping, text, made);
                    prop_assert!(at >= last, "{text}\n---\n{made}");
                    last = at;
                }
                None => {
                    prop_assert!(!is_step, "no step: {wrapping}\n---\n{text}\n---\n{made}");
                    let is_named = made.lines().any(|line| line.starts_with('#') && line.contains(id.as_str()));
                    prop_assert!(is_named, "not named: {wrapping}\n---\n{text}\n---\n{made}");
                }
            }
        }
    }
}

/// Every shipped scenario goes out and comes back with the same machines and the same parts.
#[test]
fn every_scenario_is_exported_and_imported_again() {
    let scenarios = shipped();
    scenarios.iter().for_each(|path| comes_back(path));
    assert!(scenarios.len() > 400, "{}", scenarios.len());
}

/// Every shipped scenario.
fn shipped() -> Vec<PathBuf> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "yaml") {
                found.push(path);
            }
        }
    }
    found
}

/// What QEMU's words can say of a scenario's steps comes back with its machine, its error and its order.
#[test]
fn every_step_that_qemu_has_is_exported_and_imported_again() {
    let switchover = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/switchover");
    let (mut count, mut migrations) = (0, 0);
    for path in shipped() {
        let steps = steps_come_back(&path);
        assert!(steps.is_some() || !path.starts_with(&switchover), "{}", path.display());
        migrations += steps.iter().flatten().filter(|step| step.get("migrate").is_some()).count();
        count += usize::from(steps.is_some());
    }
    assert!(count > 300 && migrations > 20, "{count} {migrations}");
}

/// The steps of a scenario that are QEMU's commands; none where nothing of it is QEMU's.
fn steps_come_back(path: &Path) -> Option<Vec<Value>> {
    let text = fs::read_to_string(path).unwrap();
    let source = Arc::new(Source { path: path.to_owned(), text });
    let tree = tree::combination(&source, 0).or_else(|| tree::read(&source).ok())?;
    let is_own = |tree: &Value| parts(tree).iter().all(|(_, ids)| ids.is_empty());
    if is_own(&tree) {
        return None;
    }
    let exported = tapwright::import::export(&tree);
    let draft = tapwright::import::paste(&exported).unwrap().unwrap();
    let again = draft.tree();
    let (one, other) = (qemus_steps(&tree), qemus_steps(&again));
    assert!(
        starts(&tree) == starts(&again) && one == other,
        "{}\n{exported}\n{}\n{one:#?}\n{other:#?}",
        path.display(),
        draft.text()
    );
    Some(one)
}

/// Each machine's `stopped` and `incoming`.
fn starts(tree: &Value) -> Vec<(bool, bool)> {
    let is = |part: &Value, key: &str| {
        let value = part.get(key);
        value.is_some_and(|value| value == &Value::Bool(true) || value == "on")
    };
    match tree.get("machines").and_then(Value::as_object) {
        Some(all) => all.values().map(|part| (is(part, "stopped"), is(part, "incoming"))).collect(),
        None => vec![(false, false)],
    }
}

/// The steps that are commands of a monitor, each in one form.
fn qemus_steps(tree: &Value) -> Vec<Value> {
    let several = tree.get("machines").and_then(Value::as_object).is_some_and(|all| all.len() > 1);
    let steps = tree.get("steps").and_then(Value::as_array);
    let of = |step: &Value| {
        let mut map = match step {
            Value::String(verb) => serde_json::Map::from_iter([(verb.clone(), Value::Null)]),
            Value::Object(map) => map.clone(),
            _ => return None,
        };
        let mut verbs = QMP_VERBS.iter().chain(&["migrate"]);
        let verb = verbs.find(|verb| map.contains_key(**verb))?;
        if !several {
            map.remove("machine");
        }
        // A file that leads out of the scenario's folder is imported as one in it.
        if let Some(Value::String(file)) = map.get_mut(*verb).and_then(|args| args.get_mut("file"))
        {
            *file = file.rsplit('/').next().unwrap_or_default().to_owned();
        }
        // `{id: x}` and `x` are the same.
        if let Some(Value::Object(args)) = map.get(*verb)
            && let (1, Some(id)) = (args.len(), args.get("id").cloned())
        {
            map.insert((*verb).to_owned(), id);
        }
        if let Some(error) = map.get("error").cloned() {
            let text = error.get("text").unwrap_or(&error).clone();
            let class = error.get("class").filter(|class| *class != "GenericError").cloned();
            map.insert("error".to_owned(), serde_json::json!([class, text.as_str()]));
        }
        Some(Value::Object(map))
    };
    steps.into_iter().flatten().filter_map(of).collect()
}

fn comes_back(path: &Path) {
    let text = fs::read_to_string(path).unwrap();
    let source = Arc::new(Source { path: path.to_owned(), text });
    let Some(tree) = tree::combination(&source, 0).or_else(|| tree::read(&source).ok()) else {
        return;
    };
    let parts = parts(&tree);
    if parts.iter().all(|(_, ids)| ids.is_empty()) {
        return;
    }
    let exported = tapwright::import::export(&tree);
    let draft = tapwright::import::paste(&exported).unwrap().unwrap();
    let again = self::parts(&draft.tree());
    assert_eq!(parts, again, "{}\n{exported}\n{}", path.display(), draft.text());
}

/// Each machine's name, and the sorted ids of what it declares.
fn parts(tree: &Value) -> Vec<(String, Vec<String>)> {
    let of = |part: &Value| {
        let mut ids = Vec::new();
        for key in ["netdevs", "chardevs", "objects"] {
            match part.get(key) {
                Some(Value::Object(map)) => ids.extend(map.keys().cloned()),
                Some(Value::Array(list)) => ids.extend(list.iter().filter_map(id)),
                _ => {}
            }
        }
        ids.sort();
        ids
    };
    match tree.get("machines").and_then(Value::as_object) {
        Some(all) if all.len() > 1 => {
            all.iter().map(|(name, part)| (name.clone(), of(part))).collect()
        }
        Some(all) => all.values().map(|part| (String::new(), of(part))).collect(),
        None => vec![(String::new(), of(tree))],
    }
}

/// The id in an option string, a JSON text, or a map.
fn id(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) if text.starts_with('{') => {
            return id(&serde_json::from_str(text).ok()?);
        }
        Value::String(text) => text,
        map => return map.get("id")?.as_str().map(str::to_owned),
    };
    text.split(',').find_map(|item| item.strip_prefix("id=")).map(str::to_owned)
}

/// The proposal in the comments is a scenario once its marks are taken away.
#[rstest]
#[case("colo-pair")]
#[case("fragment-objects")]
#[case("failover-positions")]
#[case("colo-manual")]
#[case("markdown-table")]
fn the_proposed_traffic_runs(#[case] name: &str) {
    let folder = TempDir::new().unwrap();
    let file = fixture(&format!("qemu-cmdlines/{name}.txt"));
    let text = stdout(&import(&folder, &file, &[]));
    let (before, proposal) = text.split_once("# What was sent?").unwrap();
    let lines = proposal.lines().filter_map(|line| line.strip_prefix('#'));
    let proposal: String = lines
        .filter(|line| !line.starts_with(' ') || line.starts_with("  "))
        .map(|line| format!("{line}\n"))
        .collect();
    let whole = format!("{before}{proposal}");
    fs::write(folder.path().join("a.yaml"), &whole).unwrap();
    let ran = tapwright(folder.path(), &["run", "--backend", "sim", "--accept", "a.yaml"]);
    assert_eq!(ran.status.code(), Some(0), "{whole}\n{}{}", stdout(&ran), stderr(&ran));
}

/// A folder that is a root, with a capture in it.
fn project() -> (TempDir, &'static str) {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("tapwright.toml"), "").unwrap();
    fs::copy(fixture("pcaps/http.pcap"), folder.path().join("http.pcap")).unwrap();
    (folder, "http.pcap")
}

/// Two command lines and a capture are a COLO pair that runs.
#[test]
fn the_pair_runs_with_a_capture() {
    let (folder, capture) = project();
    let imported = import(
        &folder,
        &fixture("qemu-cmdlines/colo-pair.txt"),
        &["--pcap", capture, "--at", "primary/hn0.host", "--out", "s/a.yaml"],
    );
    assert_eq!(imported.status.code(), Some(0), "{}", stderr(&imported));
    let ran = tapwright(folder.path(), &["run", "--backend", "sim", "--accept", "s/a.yaml"]);
    assert_eq!(ran.status.code(), Some(0), "{}{}", stdout(&ran), stderr(&ran));
    let snapshot = fs::read_to_string(folder.path().join("s/a.snap")).unwrap_or_default();
    assert!(snapshot.contains("secondary/hn0.guest"), "{snapshot}");
    // Nothing that is there is overwritten.
    let again = import(&folder, &fixture("qemu-cmdlines/quotes.txt"), &["--out", "s/a.yaml"]);
    assert_eq!(again.status.code(), Some(2));
    assert!(stderr(&again).contains("TW-E031"), "{}", stderr(&again));
}

/// Captures of the interface `any`, with packets that were cut, of a tunnel: the scenario says what is
/// made of them, and runs.
#[rstest]
#[case("cooked.pcap", &["as: ethernet"], &["cut:"])]
#[case("snaplen.pcap", &["cut: keep"], &["as:"])]
#[case("breaks-off.pcap", &["cut: keep"], &["as:"])]
#[case("with-fcs.pcap", &[], &["as:", "cut:"])]
fn a_capture_that_is_not_plain_is_sent_all_the_same(
    #[case] name: &str,
    #[case] has: &[&str],
    #[case] lacks: &[&str],
) {
    let folder = tempfile::tempdir().unwrap();
    let captures = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/replay/captures");
    fs::copy(captures.join(name), folder.path().join(name)).unwrap();
    let paste = folder.path().join("paste.txt");
    fs::write(&paste, "qemu-system-x86_64 -netdev tap,id=hn0 -device e1000,netdev=hn0\n").unwrap();
    let options = ["--pcap", name, "--at", "hn0.guest", "--out", "a.yaml"];
    let imported = import(&folder, paste.to_str().unwrap(), &options);
    assert_eq!(imported.status.code(), Some(0), "{}", stderr(&imported));
    let scenario = fs::read_to_string(folder.path().join("a.yaml")).unwrap();
    for one in has {
        assert!(scenario.contains(one), "{scenario}");
    }
    for one in lacks {
        assert!(!scenario.contains(one), "{scenario}");
    }
    let ran = tapwright(folder.path(), &["run", "--backend", "sim", "--accept", "a.yaml"]);
    assert_eq!(ran.status.code(), Some(0), "{}{}", stdout(&ran), stderr(&ran));
}

/// Scripts are named as they are, and a capture or port that can't be is refused and leaves no
/// scenario.
#[test]
fn scripts_are_named_and_a_wrong_capture_leaves_nothing() {
    let (folder, capture) = project();
    let (primary, secondary) =
        (fixture("qemu-cmdlines/colo-primary.txt"), fixture("qemu-cmdlines/colo-secondary.txt"));
    let elsewhere = fixture("pcaps/http.pcap");
    let text = folder.path().join("primary.sh");
    fs::copy(&primary, &text).unwrap();
    let with = |more: &[&str]| {
        let arguments = ["import", &primary, &secondary, "--out", "a.yaml"];
        tapwright(folder.path(), &[&arguments, more].concat())
    };
    for (more, said) in [
        (["--pcap", capture, "--at", "hn9.host"], "--at"),
        (["--pcap", "no.pcap", "--at", "primary/hn0.host"], "--pcap"),
        (["--pcap", "primary.sh", "--at", "primary/hn0.host"], "--pcap"),
        // The scenario could not be run as it is.
        (["--pcap", elsewhere.as_str(), "--at", "primary/hn0.host"], "--pcap"),
    ] {
        let refused = with(&more);
        assert_eq!(refused.status.code(), Some(2), "{more:?}");
        let told = format!("no scenario is left: give another {said}");
        let words: Vec<String> = stderr(&refused).split_whitespace().map(str::to_owned).collect();
        assert!(words.join(" ").contains(&told), "{}", stderr(&refused));
        assert!(!folder.path().join("a.yaml").exists(), "{more:?}");
    }
    let anywhere = ["--pcap", &elsewhere, "--at", "primary/hn0.host", "--allow-outside"];
    let written = with(&anywhere);
    assert_eq!(written.status.code(), Some(0), "{}", stderr(&written));
    fs::remove_file(folder.path().join("a.yaml")).unwrap();
    let written = with(&["--pcap", capture, "--at", "primary/hn0.host"]);
    assert_eq!(written.status.code(), Some(0), "{}", stderr(&written));
    let text = fs::read_to_string(folder.path().join("a.yaml")).unwrap();
    for part in ["  primary:", "  secondary:", "- send: primary/hn0.host"] {
        assert!(text.contains(part), "{text}");
    }
}

/// A shell has made the words already.
#[test]
fn a_command_line_after_dashes() {
    let folder = TempDir::new().unwrap();
    let words = [
        "import",
        "--",
        "sudo",
        "qemu-system-x86_64",
        "-netdev",
        "tap,id=hn0",
        "-object",
        "filter-buffer,id=b0,netdev=hn0,interval=1000",
    ];
    let text = stdout(&tapwright(folder.path(), &words));
    assert_eq!(declared(&text, "netdevs"), ["tap,id=hn0"]);
    assert_eq!(declared(&text, "objects"), ["filter-buffer,id=b0,netdev=hn0,interval=1000"]);
}

#[test]
fn nothing_is_said_to_be_nothing() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("a.txt"), "Thanks, it works now.\n").unwrap();
    let output = import(&folder, "a.txt", &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("TW-E030"), "{}", stderr(&output));
}

/// The manual's two command lines were tried on one host; here each machine is one.
#[test]
fn two_files_are_two_machines() {
    let folder = TempDir::new().unwrap();
    let primary = fixture("qemu-cmdlines/colo-primary.txt");
    let secondary = fixture("qemu-cmdlines/colo-secondary.txt");
    let text = stdout(&import(&folder, &primary, &["--file", &secondary]));
    let chardevs = declared(&text, "chardevs");
    assert_eq!(chardevs.len(), 8, "{text}");
    assert_eq!(chardevs[6], "socket,id=red0,host=primary,port=9003,reconnect-ms=1000");
    assert!(text.contains("chardev red0 has host=primary for host=127.0.0.1"), "{text}");
}

/// Monitor commands after a command line are its machine's, and a refusal is expected.
#[test]
fn commands_belong_to_the_machine_before_them() {
    let folder = TempDir::new().unwrap();
    let text = "qemu-system-x86_64 -name one -netdev tap,id=hn0\n\n\
                qemu-system-x86_64 -name two -netdev tap,id=hn0\n\
                (qemu) object_add filter-dump,id=d0,netdev=hn0,file=/tmp/d.pcap\n\
                -> {\"execute\": \"x-colo-lost-heartbeat\"}\n\
                -> {\"execute\": \"object-del\", \"arguments\": {\"id\": \"x\"}}\n\
                <- {\"error\": {\"class\": \"DeviceNotFound\", \"desc\": \"no x\"}}\n\
                -> {\"execute\": \"migrate\", \"arguments\": {\"uri\": \"tcp:10.0.0.2:9998\"}}\n";
    fs::write(folder.path().join("a.txt"), text).unwrap();
    let text = stdout(&import(&folder, "a.txt", &[]));
    for expected in [
        "  - object-add: filter-dump,id=d0,netdev=hn0,file=d.pcap\n    machine: two\n",
        "  - colo: { event: failover, machine: two }\n",
        "    error: { class: DeviceNotFound, text: no x }\n",
        "#   no step for migrate {\"uri\":\"tcp:10.0.0.2:9998\"}\n",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let folder = TempDir::new().unwrap();
    let output = import(&folder, "none.txt", &[]);
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    assert!(said.contains("TW-E032") && said.contains("none.txt"), "{said}");
}

#[test]
fn a_capture_in_a_texts_place_is_told_where_it_goes() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("talk.pcap"), b"\xd4\xc3\xb2\xa1").unwrap();
    let output = import(&folder, "talk.pcap", &[]);
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    assert!(said.contains("--pcap FILE --at PORT"), "{said}");
}
