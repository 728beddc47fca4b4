//! The HTML report in a real browser: it draws without a complaint, asks for nothing, filters, and
//! opens packets, with JavaScript and without. Where there is no browser this says so and passes.

mod browser;

use std::{
    fs,
    io::{self, Write},
    process::{Command, Output},
};

use serde_json::json;
use test_support::{Project, code};

use self::browser::{Browser, program};

const GOOD: &str = "description: A <b>frame</b> & its copy.\ntags: [quick, redirector]
netdevs: { hn0: {} }
chardevs: { out0: {} }
objects: [\"filter-mirror,id=m0,netdev=hn0,queue=rx,outdev=out0\"]
steps:
  - send: hn0.guest
    frames: [{ ipv4: { src: 10.0.0.1, dst: 10.0.0.2 }, udp: { sport: 7, dport: 9 }, payload: \"</script><script>alert(1)</script>\" }]
";

const CHANGED: &str = "description: What it sends is changed after the review.\ntags: [slow]
netdevs: { hn0: {} }
steps:
  - send: hn0.guest
    frames: [{ ipv4: { src: 10.0.0.1, dst: 10.0.0.2 }, udp: { sport: 7, dport: 9 }, payload: \"hello\" }]
";

fn run(project: &Project, more: &[&str]) -> Output {
    project.tapwright(&[&["run", "--backend", "sim"], more].concat())
}

fn url(project: &Project) -> String {
    format!("file://{}", project.path().join("report/index.html").display())
}

/// A project whose report has a case that passed and one that failed.
fn reported() -> Project {
    let project = Project::suite(&[("good.yaml", GOOD), ("changed.yaml", CHANGED)]);
    assert_eq!(code(&run(&project, &["--accept"])), 0);
    project.write("scenarios/changed.yaml", CHANGED.replace("hello", "hullo"));
    let run = run(&project, &["--report", "html=report"]);
    assert_eq!(run.status.code(), Some(1), "{run:?}");
    project
}

/// Says loudly that nothing was looked at.
fn skipped() {
    // A terminal that is gone takes nothing from what was tested.
    drop(writeln!(
        io::stdout(),
        "SKIPPED: there is no chromium here; `apt-get install chromium` brings it"
    ));
}

/// Cases that are to be seen.
const SEEN: &str = "[...document.querySelectorAll('.case')]\
                    .filter(one => one.checkVisibility()).map(one => one.querySelector('.nm').textContent)";

#[test]
fn the_page_filters_and_opens_packets() {
    let Some(program) = program() else {
        return skipped();
    };
    let project = reported();
    let mut browser = Browser::start(&program);
    browser.open(&url(&project));
    assert_eq!(browser.requests(), [url(&project)], "nothing else is asked for");
    assert_eq!(browser.evaluate(SEEN), json!(["changed", "good"]));
    // What failed is open, and what is wrong stands in it.
    let wrong = browser.evaluate("document.querySelector('.case[open] .df').textContent");
    assert!(wrong.as_str().is_some_and(|text| text.contains("payload")), "{wrong}");
    let fields = browser.evaluate(
        "[...document.querySelectorAll('.case[open] .df .ne td:first-child')].map(one => one.textContent)",
    );
    assert!(fields.as_array().is_some_and(|all| all.contains(&json!("payload"))), "{fields}");

    browser.evaluate("document.querySelector('#filter input[value=failed]').click()");
    assert_eq!(browser.evaluate(SEEN), json!(["good"]));
    browser.evaluate("document.querySelector('#filter input[value=failed]').click()");
    let typed = |text: &str| {
        format!(
            "(() => {{ const field = document.querySelector('#search'); field.value = '{text}'; \
             field.dispatchEvent(new Event('input', {{ bubbles: true }})); }})()"
        )
    };
    browser.evaluate(&typed("ITS COPY"));
    assert_eq!(browser.evaluate(SEEN), json!(["good"]));
    browser.evaluate(&typed("nowhere"));
    assert_eq!(browser.evaluate(SEEN), json!([]));
    browser.evaluate(&typed(""));
    browser.evaluate(
        "(() => { const tag = document.querySelector('#tag'); tag.value = 'slow'; \
         tag.dispatchEvent(new Event('input', { bubbles: true })); })()",
    );
    assert_eq!(browser.evaluate(SEEN), json!(["changed"]));

    // A packet opens from its ladder, and closes.
    let opened = "(() => { const one = document.querySelector('.pk:target'); \
                  return one && one.checkVisibility() ? one.textContent : null; })()";
    assert_eq!(browser.evaluate(opened), json!(null));
    browser.evaluate(
        "location.hash = document.querySelector('.case[open] .ld a').getAttribute('href')",
    );
    let packet = browser.evaluate(opened);
    let packet = packet.as_str().unwrap();
    for part in ["UDP", "dport", "0000", "hullo"] {
        assert!(packet.contains(part), "{part}: {packet}");
    }
    browser.evaluate("document.querySelector('.pk:target .shut').click()");
    assert_eq!(browser.evaluate(opened), json!(null));
    assert!(browser.complaints.is_empty(), "{:?}", browser.complaints);
}

#[test]
fn the_page_can_be_read_without_javascript_and_in_the_dark() {
    let Some(program) = program() else {
        return skipped();
    };
    let project = reported();
    let mut browser = Browser::start(&program);
    let ground = "getComputedStyle(document.body).backgroundColor";
    browser.open(&url(&project));
    let light = browser.evaluate(ground);
    browser.call("Emulation.setScriptExecutionDisabled", &json!({ "value": true }));
    let dark = json!({ "features": [{ "name": "prefers-color-scheme", "value": "dark" }] });
    browser.call("Emulation.setEmulatedMedia", &dark);
    browser.open(&url(&project));
    assert_ne!(browser.evaluate(ground), light);
    assert_eq!(browser.evaluate("document.querySelector('#filter').hidden"), json!(true));
    assert_eq!(browser.evaluate(SEEN), json!(["changed", "good"]));
    let drawn = browser.evaluate(
        "[...document.querySelectorAll('.case[open] svg')].map(one => one.getBoundingClientRect().width > 100)",
    );
    assert_eq!(drawn, json!([true, true]));
    browser.evaluate("document.querySelector('.case:not([open]) > summary').click()");
    assert_eq!(browser.evaluate("document.querySelectorAll('.case[open]').length"), json!(2));
    let first = "document.querySelector('.ld a').getAttribute('href')";
    let href = browser.evaluate(first);
    browser.open(&format!("{}{}", url(&project), href.as_str().unwrap()));
    let shown = browser.evaluate("document.querySelector('.pk:target').checkVisibility()");
    assert_eq!(shown, json!(true));
}

/// 500 cases fit into 5 MB.
#[test]
fn a_case_takes_ten_kilobytes_at_most() {
    const MOST: usize = 10_000;
    let directory = tempfile::tempdir().unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_tapwright"))
        .args(["run", "--backend", "sim", "--ci", "--partition", "hash:1/7", "scenarios"])
        .arg("--out")
        .arg(directory.path().join("captures"))
        .arg("--report")
        .arg(format!("html={}", directory.path().display()))
        .output()
        .unwrap();
    assert!(run.status.success(), "{run:?}");
    let page = fs::read_to_string(directory.path().join("index.html")).unwrap();
    let cases = page.matches("<details class=\"case ").count();
    assert!(cases > 300, "{cases}");
    assert!(page.len() < cases * MOST, "{} B for {cases} cases", page.len());
}
