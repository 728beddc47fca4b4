//! What programs of each language start, and what they say to whom.

use rstest::rstest;

use super::{
    super::{paste::Piece, shell::Shell},
    flag, read,
};

fn shown(text: &str) -> String {
    let Some(program) = read(text, &mut Shell::default(), &[]) else { return "none".to_owned() };
    let of = |name: Option<String>| name.map(|name| format!("{name}: ")).unwrap_or_default();
    let command = |words: Vec<String>| {
        let at = words.iter().rposition(|word| flag::is_program(word)).unwrap_or(0);
        let program = words[at].rsplit('/').next().unwrap_or_default();
        [&[program.to_owned()], &words[at + 1..]].concat().join(" ")
    };
    let commands = program.commands.into_iter();
    let mut lines: Vec<String> =
        commands.map(|(name, one)| of(name) + &command(one.words)).collect();
    let step = |(name, piece): (Option<String>, Piece)| match piece {
        Piece::Command(command, args) => {
            format!("{}{command} {}", of(name), serde_json::Value::Object(args))
        }
        Piece::ObjectAdd(text) => format!("{}object_add {text}", of(name)),
        other => format!("{other:?}"),
    };
    match program.steps {
        Some(steps) => lines.extend(steps.into_iter().map(step)),
        None => lines.push("? steps".to_owned()),
    }
    lines.join("\n")
}

/// A class whose objects are machines, with a method that talks to its monitor.
#[rstest]
#[case::python(
    r#"
import subprocess
class Guest:
    def __init__(self, name, *more, port=7):
        self.argv = ["qemu-kvm", "-name", name, "-netdev", f"tap,id={name}{port:02d}"]
        self.argv += more
    def start(self):
        self.process = subprocess.Popen(self.argv)
    def qmp(self, command, **arguments):
        request = {"execute": command}
        if arguments:
            request["arguments"] = arguments
        self.socket.send(json.dumps(request).encode())
a = Guest("a")
b = Guest("b", "-S", port=8)
for guest in (a, b):
    guest.start()
a.qmp("object-del", id="f")
b.qmp("stop")
"#
)]
#[case::ruby(
    r#"
require 'json'
class Guest
  def initialize(name, *more, port: 7)
    @argv = %W[qemu-kvm -name #{name}]
    @argv << '-netdev' << "tap,id=#{name}0#{port}"
    @argv += more
  end
  def start
    spawn(*@argv)
  end
  def qmp(command, **arguments)
    request = { execute: command }
    request[:arguments] = arguments unless arguments.empty?
    @socket.puts JSON.generate(request)
  end
end
a = Guest.new 'a'
b = Guest.new('b', '-S', port: 8)
[a, b].each(&:start)
a.qmp 'object-del', id: 'f'
b.qmp('stop')
"#
)]
#[case::javascript(
    r#"
const { spawn } = require('child_process');
class Guest {
  constructor(name, { more = [], port = 7 } = {}) {
    this.argv = ['-name', name, '-netdev', `tap,id=${name}0${port}`];
    this.argv.push(...more);
  }
  start() {
    this.child = spawn('qemu-kvm', this.argv, { stdio: 'inherit' });
  }
  async qmp(execute, args) {
    this.socket.write(JSON.stringify({ execute, arguments: args }) + '\n');
  }
}
const a = new Guest('a');
const b = new Guest('b', { more: ['-S'], port: 8 });
[a, b].forEach((guest) => guest.start());
a.qmp('object-del', { id: 'f' });
b.qmp('stop');
"#
)]
#[case::go(
    r#"
package main

type Guest struct {
	Name string
	Port int
	More []string
}

func (g *Guest) Start() error {
	args := []string{"-name", g.Name, "-netdev", fmt.Sprintf("tap,id=%s0%d", g.Name, g.Port)}
	args = append(args, g.More...)
	return exec.Command("qemu-kvm", args...).Start()
}

func (g *Guest) QMP(cmd string, arguments map[string]any) {
	msg, _ := json.Marshal(map[string]any{"execute": cmd, "arguments": arguments})
	g.conn.Write(msg)
}

func main() {
	a := &Guest{Name: "a", Port: 7}
	b := &Guest{Name: "b", Port: 8, More: []string{"-S"}}
	for _, g := range []*Guest{a, b} {
		if err := g.Start(); err != nil {
			panic(err)
		}
	}
	a.QMP("object-del", map[string]any{"id": "f"})
	b.QMP("stop", nil)
}
"#
)]
#[case::php(
    r#"<?php
class Guest {
    private array $argv = [];
    public function __construct(private string $name, private int $port = 7, string ...$more) {
        $this->argv = ['qemu-kvm', '-name', $this->name, '-netdev'];
        $this->argv[] = "tap,id={$this->name}0$this->port";
        array_push($this->argv, ...$more);
    }
    public function start(): void {
        proc_open(implode(' ', array_map('escapeshellarg', $this->argv)), [], $pipes);
    }
    public function qmp(string $command, array $arguments = []): void {
        fwrite($this->socket, json_encode(['execute' => $command, 'arguments' => $arguments]));
    }
}
$a = new Guest('a');
$b = new Guest('b', 8, '-S');
foreach ([$a, $b] as $guest) {
    $guest->start();
}
$a->qmp('object-del', ['id' => 'f']);
$b->qmp('stop');
"#
)]
#[case::java(
    r#"
public class Guest {
    private final String name;
    private final List<String> command = new ArrayList<>();
    Guest(String name, int port, String... more) {
        this.name = name;
        command.addAll(List.of("qemu-kvm", "-name", name, "-netdev"));
        command.add(String.format("tap,id=%s0%d", name, port));
        command.addAll(Arrays.asList(more));
    }
    Process start() throws IOException {
        return new ProcessBuilder(command).start();
    }
    void qmp(String json) throws IOException {
        writer.write(json + "\n");
    }
    public static void main(String[] args) throws Exception {
        Guest a = new Guest("a", 7);
        Guest b = new Guest("b", 8, "-S");
        a.start();
        b.start();
        a.qmp("{\"execute\": \"object-del\", \"arguments\": {\"id\": \"f\"}}");
        b.qmp("{\"execute\": \"stop\"}");
    }
}
"#
)]
fn objects_are_machines(#[case] text: &str) {
    let expected = "a: qemu-kvm -name a -netdev tap,id=a07\nb: qemu-kvm -name b -netdev tap,id=b08 -S\n\
                    a: object-del {\"id\":\"f\"}\nb: stop {}";
    assert_eq!(shown(text), expected);
}

/// A function that is called once for each machine.
#[rstest]
#[case::python(
    r#"
import subprocess
LEGS = [("a", 7), ("b", 8)]
def launch(name, port, more=None, *, frozen=False):
    cmd = ["qemu-kvm", "-name", name]
    cmd += ["-netdev", "tap,id={}0{port}".format(name, port=port)]
    if frozen:
        cmd.append("-S")
    return subprocess.Popen(cmd)
procs = {}
for i, (name, port) in enumerate(LEGS):
    procs[name] = launch(name, port, frozen=(i == 1))
"#
)]
#[case::perl(
    r#"
use strict;
use warnings;
my %port = (a => 7, b => 8);
sub start {
    my ($name, %opt) = @_;
    my @cmd = ('qemu-kvm', '-name', $name);
    push @cmd, '-netdev', "tap,id=${name}0$port{$name}";
    push @cmd, $_ for @{ $opt{more} };
    system(join(' ', @cmd) . ' &');
}
start('a');
start('b', more => ['-S']);
"#
)]
#[case::lua(
    r#"
local ports = { a = 7, b = 8 }
local function start(name, more)
  local t = { "qemu-kvm", "-name", name, "-netdev" }
  table.insert(t, ("tap,id=%s0%d"):format(name, ports[name]))
  for _, o in ipairs(more) do
    t[#t + 1] = o
  end
  os.execute(table.concat(t, " ") .. " &")
end
start("a", {})
start("b", { "-S" })
"#
)]
#[case::nix(
    r#"
{ pkgs ? import <nixpkgs> { }, lib ? pkgs.lib }:
let
  tap = { id, port ? 7 }: "-netdev tap,id=${id}0${toString port}";
  launch = name: more: pkgs.writeShellScript "run-${name}" ''
    exec ${pkgs.qemu}/bin/qemu-kvm -name ${name} ${lib.concatStringsSep " " more}
  '';
in rec {
  a = launch "a" [ (tap { id = "a"; }) ];
  b = launch "b" ([ (tap { id = "b"; port = 8; }) ] ++ [ "-S" ]);
}
"#
)]
#[case::c(r#"
#include <stdio.h>
struct vm { const char *name; int port; };
static const struct vm vms[] = { { "a", 7 }, { "b", 8 } };
static void start(const struct vm *vm, const char *more)
{
    char line[512];
    snprintf(line, sizeof(line), "qemu-kvm -name %s -netdev tap,id=%s0%d %s", vm->name, vm->name, vm->port, more);
    system(line);
}
int main(void)
{
    start(&vms[0], "");
    start(&vms[1], "-S");
    return 0;
}
"#)]
fn a_function_is_called_for_each_machine(#[case] text: &str) {
    let expected =
        "a: qemu-kvm -name a -netdev tap,id=a07\nb: qemu-kvm -name b -netdev tap,id=b08 -S";
    assert_eq!(shown(text).replace("\n? steps", ""), expected);
}

/// What a program is started with has values where it says so.
#[rstest]
#[case::python(
    "import os\nimport argparse\np = argparse.ArgumentParser()\np.add_argument('--if-name', default='t1')\nargs = p.parse_args()\nport = os.environ.get('PORT', 7)\nos.system(f'qemu-kvm -nic tap,ifname={args.if_name},vhost={port}')\n"
)]
#[case::ruby(
    "require 'x'\nIF = ENV.fetch('IF', 't1')\nport = ARGV[0] || 7\nsystem(\"qemu-kvm -nic tap,ifname=#{IF},vhost=#{port}\")\n%w[a].each do |x|\nend\n"
)]
#[case::javascript(
    "const ifname = process.env.IF || 't1';\nconst port = process.argv[2] ?? 7;\nspawn(`qemu-kvm -nic tap,ifname=${ifname},vhost=${port}`);\n"
)]
fn defaults_are_values(#[case] text: &str) {
    assert_eq!(shown(text), "qemu-kvm -nic tap,ifname=t1,vhost=7");
}
