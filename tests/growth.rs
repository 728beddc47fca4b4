//! Small scenarios that grow: each is checked by the real program with little memory, and is
//! refused with a code that names the product that grew. That none of them takes long is seen where
//! a test runs into its processor time.

use std::{fmt::Write as _, fs, os::unix::process::ExitStatusExt, process::Command};

use rstest::rstest;

/// What `ulimit -v` leaves, in KiB: a few times what tapwright itself takes.
const MEMORY: u32 = 400_000;

/// Seconds of processor time, for a build without optimisation.
const PROCESSOR: u32 = 40;

/// The most bytes of a scenario.
const LARGEST: usize = 1 << 20;

const HEAD: &str = "description: x\nnetdevs: { hn0: {} }\n";

/// `count` items, each made of its number, with commas between them.
fn list(count: usize, item: impl Fn(usize) -> String) -> String {
    (0..count).map(item).collect::<Vec<_>>().join(",")
}

fn numbers(count: usize) -> String {
    list(count, |number| number.to_string())
}

fn lines(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).fold(String::new(), |mut text, number| {
        let _ = writeln!(text, "{}", line(number));
        text
    })
}

/// A text of references to one that is as long.
fn references(length: usize) -> String {
    let (value, text) = ("A".repeat(length), "${a}".repeat(length));
    format!("{HEAD}matrix: {{ a: [\"{value}\"] }}\nsteps: [{{ note: \"{text}\" }}]\n")
}

fn cases_by(count: usize, rest: &str) -> String {
    format!("{HEAD}matrix: {{ a: [{}] }}\n{rest}", numbers(count))
}

fn objects(count: usize, id: &str) -> String {
    lines(count, |number| {
        format!("  - \"filter-mirror,id=f{number}{id},netdev=hn0,queue=rx,outdev=c\"")
    })
}

/// Checks a scenario, and gives the first line of the report behind its code.
fn refused(scenario: &str, command: &str) -> (String, String) {
    assert!(scenario.len() <= LARGEST, "{} bytes", scenario.len());
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("bomb.yaml");
    fs::write(&path, scenario).expect("a scenario");
    let limits = format!("ulimit -v {MEMORY}; ulimit -t {PROCESSOR}; exec \"$0\" \"$@\"");
    let output = Command::new("sh")
        .args(["-c", &limits, env!("CARGO_BIN_EXE_tapwright")])
        .args(command.split(' '))
        .arg(&path)
        .output()
        .expect("a shell");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{:?}: {text:.2000}", output.status.signal());
    assert!(text.len() < 200_000, "{} bytes of reports", text.len());
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let code = lines.next().unwrap_or_default().to_owned();
    (code, lines.next().unwrap_or_default().to_owned())
}

#[rstest]
#[case::references_by_their_text(references(20_000), "bytes of text")]
#[case::three_times_as_many(references(60_000), "bytes of text")]
#[case::half_a_megabyte(references(100_000), "bytes of text")]
#[case::as_large_as_can_be(references(169_000), "bytes of text")]
#[case::a_long_note_in_each_case(
    cases_by(5_000, &format!("steps: [{{ note: \"${{a}}{}\" }}]\n", "A".repeat(880_000))),
    "bytes of text"
)]
#[case::cases_by_objects(
    cases_by(3_000, &format!("chardevs: {{ c: {{}} }}\nobjects:\n{}", objects(1_000, "x${a}"))),
    "cases x"
)]
#[case::cases_by_three_times_the_objects(
    cases_by(10_000, &format!("chardevs: {{ c: {{}} }}\nobjects:\n{}", objects(3_000, "x${a}"))),
    "cases x"
)]
fn what_grew_for_an_attacker(#[case] scenario: String, #[case] product: &str) {
    for command in ["check", "list", "run --backend sim"] {
        let (code, message) = refused(&scenario, command);
        assert!(code.starts_with("TW-S"), "{code}");
        assert!(message.contains("too many") && message.contains(product), "{command}: {message}");
    }
}

#[rstest]
#[case::a_description(
    format!(
        "description: \"{}\"\nnetdevs: {{ hn0: {{}} }}\nmatrix: {{ a: [{}] }}\nsteps: [{{ note: \"${{a}}\" }}]\n",
        "D".repeat(700_000), numbers(10_000)
    ),
    "bytes of text"
)]
#[case::tags(
    cases_by(10_000, &format!("tags: [{}]\nsteps: [{{ note: \"${{a}}\" }}]\n", list(9_000, |n| format!("t{n}")))),
    "cases x"
)]
#[case::steps(
    cases_by(2_000, &format!("steps:\n{}", lines(5_000, |_| "  - { note: \"${a}\" }".into()))),
    "cases x"
)]
#[case::commands(
    cases_by(5_000, &format!("steps:\n{}  - {{ note: \"${{a}}\" }}\n", lines(14_900, |_| "  - stop".into()))),
    "cases x"
)]
#[case::netdevs(
    format!("description: x\nnetdevs:\n{}steps: [{{ note: a }}]\n", lines(6_000, |n| format!("  h{n}: {{}}"))),
    "pairs of devices"
)]
#[case::netdev_texts(
    format!("description: x\nnetdevs:\n{}steps: [{{ note: a }}]\n", lines(15_000, |n| format!("  - tap,id=h{n}"))),
    "pairs of devices"
)]
#[case::joined_chardevs(
    format!(
        "description: x\nchardevs:\n{}steps: [{{ note: a }}]\n",
        lines(9_000, |n| format!("  - socket,id=h{n},path=p{n},server=on\n  - socket,id=c{n},path=p{n}"))
    ),
    "pairs of devices"
)]
#[case::objects(
    format!("{HEAD}chardevs: {{ c: {{}} }}\nobjects:\n{}steps: [{{ note: a }}]\n", objects(15_000, "")),
    "pairs of devices"
)]
#[case::machines(
    format!(
        "description: x\nmachines:\n{}steps: [{{ note: a }}]\n",
        lines(3_000, |n| format!("  m{n}: {{ netdevs: {{ h: {{}} }} }}"))
    ),
    "pairs of devices"
)]
#[case::a_machine_with_a_long_name(
    format!(
        "description: x\nmachines:\n  {}:\n    netdevs:\n{}steps: [{{ note: a }}]\n",
        "m".repeat(500_000), lines(15_000, |n| format!("      - tap,id=h{n}"))
    ),
    ""
)]
#[case::repeated_frames(
    cases_by(
        10_000,
        "steps:\n  - { note: \"${a}\" }\n  - send: hn0.guest\n    repeat: 1000\n    frames: [{ payload: \"\" }]\n"
    ),
    "frames"
)]
#[case::frames_that_count(
    format!(
        "{HEAD}steps:\n  - send: hn0.guest\n    repeat: 100000\n    frames: [{}]\n",
        list(20, |_| "{ payload: \"${i}\" }".into())
    ),
    "frames"
)]
#[case::a_payload_of_references(
    format!(
        "{HEAD}steps:\n  - send: hn0.guest\n    repeat: 100000\n    frames: [{{ payload: \"{}\" }}]\n",
        "${i}".repeat(250_000)
    ),
    "repeated frames"
)]
#[case::bytes_in_each_case(
    cases_by(10_000, &format!(
        "steps: [{{ note: \"${{a}}\" }}, {{ send: hn0.guest, frames: [{{ hex: \"{}\" }}] }}]\n", "00".repeat(30_000)
    )),
    "too many"
)]
#[case::options_of_an_object(
    cases_by(10_000, &format!("objects: [\"filter-mirror,id=f{}\"]\n", ",a=${a}".repeat(90_000))),
    "options in strings"
)]
#[case::an_alias(
    format!(
        "description: x\nx: &a \"{}\"\nnetdevs: {{ hn0: {{}} }}\nsteps: [{}]\n",
        "A".repeat(900_000), list(6_000, |_| "{ note: *a }".into())
    ),
    ""
)]
#[case::guests_that_answer_much(
    format!(
        "description: x\nmatrix: {{ a: [{}] }}\nnetdevs: {{ hn0: {{ guest: {{ address: 10.0.0.2/24, services: {{ 80: {{ respond: \"{}${{a}}\" }} }} }} }} }}\nsteps: [{{ note: x }}]\n",
        numbers(10_000), "R".repeat(800_000)
    ),
    "bytes of text"
)]
fn a_relative_of_these_is_refused_too(#[case] scenario: String, #[case] product: &str) {
    let (code, message) = refused(&scenario, "check");
    assert!(code.starts_with("TW-S"), "{code}");
    assert!(message.contains(product), "{message}");
}

#[rstest]
#[case::a_variable(format!("A=xxxxxxxx\n{}qemu-system-x86_64 -netdev tap,id=$A\n", "A=\"$A$A\"\n".repeat(50)))]
#[case::an_array(format!("A=(x x)\n{}qemu-system-x86_64 -netdev tap,id=\"${{A[@]}}\"\n", "A+=(\"${A[@]}\")\n".repeat(50)))]
#[case::a_loop(format!("qemu-system-x86_64 -S\n{}qemu-system-x86_64 -netdev tap,id=a{}\n",
    "for i in 0 1 2 3 4 5 6 7 8 9; do\n".repeat(8), "\ndone".repeat(8)))]
#[case::a_function("f() {\n f; f\n}\nf\nqemu-system-x86_64 -netdev tap,id=a\n".to_owned())]
#[case::a_replacement(format!("A={}\nB=${{A//x/{}}}\nqemu-system-x86_64 -netdev tap,id=$B$B$B$B$B$B$B$B$B$B\n",
    "x".repeat(1000), "y".repeat(200)))]
#[case::printf(format!("f() {{\n printf '%s{}' {}\n}}\nqemu-system-x86_64 -netdev tap,id=$(f)$(f)$(f)\n",
    "x".repeat(500), "a ".repeat(1000)))]
#[case::braces("{\n".repeat(200_000))]
#[case::backslashes("-netdev tap,id=a \\\n".repeat(20_000))]
fn a_paste_that_grows_is_refused(#[case] paste: String) {
    let (code, _) = refused(&paste, "import --file");
    assert_eq!(code, "TW-E033");
}

#[test]
fn many_faults_are_few_reports() {
    let unknown = lines(9_900, |number| format!("netdevz{number}: 1"));
    refused(&format!("description: x\n{unknown}"), "check");
    let references = list(90_000, |number| format!("${{a{number}}}"));
    refused(&format!("{HEAD}steps: [{{ note: \"{references}\" }}]\n"), "check");
    let each = list(4_000, |_| "{ noet: 1 }".into());
    refused(&cases_by(10_000, &format!("steps: [{{ note: \"${{a}}\" }}, {each}]\n")), "check");
}
