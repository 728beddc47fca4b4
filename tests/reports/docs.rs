//! The files of `docs/ci.md` are YAML, and what they run runs: every command of every job, in a
//! shell, shard by shard, and then what merges them.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use serde_json::Value;
use test_support::{Project, is_there};

use crate::scenario::{MANY, PASSES};

/// The fenced blocks of a language.
pub(crate) fn blocks(language: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ci.md");
    let text = fs::read_to_string(path).unwrap();
    let fence = format!("```{language}\n");
    let blocks = text.split(&fence).skip(1);
    blocks.map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

/// The YAML block that has this at its top.
fn file(key: &str) -> Value {
    let files: Vec<Value> =
        blocks("yml").iter().map(|text| serde_yaml::from_str(text).unwrap()).collect();
    assert_eq!(files.len(), 3);
    files.into_iter().find(|file| file.get(key).is_some()).unwrap()
}

/// A suite, and a shell that finds `tapwright` and what stands for the commands around it.
struct Machine(Project);

impl Machine {
    fn new() -> Self {
        let project = Project::suite(&[("a.yaml", PASSES), ("many.yaml", MANY)]);
        assert_eq!(project.exit(&["run", "--backend=sim", "--accept"]), 0);
        let bin = project.path().join("bin");
        fs::create_dir(&bin).unwrap();
        fs::create_dir(project.path().join("reports")).unwrap();
        symlink(env!("CARGO_BIN_EXE_tapwright"), bin.join("tapwright")).unwrap();
        for (name, text) in
            [("cargo", "#!/bin/sh\nexit 0\n"), ("sudo", "#!/bin/sh\nshift\nexec \"$@\"\n")]
        {
            fs::write(bin.join(name), text).unwrap();
            fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        Self(project)
    }

    /// Runs it as a job does, in memory and with the reports' volume in the project.
    fn shell(&self, script: &str, variables: &[(&str, &str)]) -> i32 {
        let here = self.0.path();
        let mut script = script.replace("/reports/", &format!("{}/reports/", here.display()));
        if !script.contains("--backend sim") {
            script = script.replace("run scenarios", "run scenarios --backend sim");
        }
        let path = std::env::var("PATH").unwrap();
        let mut command = std::process::Command::new("sh");
        let output = command
            .args(["-euc", &script])
            .current_dir(here)
            .env("PATH", format!("{}:{path}", here.join("bin").display()))
            .env("CI", "true")
            .env("GITHUB_WORKSPACE", here)
            .env("GITHUB_STEP_SUMMARY", here.join("summary.md"))
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script}\n{told}");
        output.status.code().unwrap()
    }

    fn has(&self, file: &str, text: &str) {
        let read = self.0.read(file);
        assert!(read.contains(text), "{file}: {read}");
    }
}

fn strings<'v>(value: &'v Value, key: &str) -> Vec<&'v str> {
    let steps = value.as_array().unwrap();
    steps.iter().filter_map(|step| step[key].as_str()).collect()
}

#[test]
fn the_workflow_of_github_runs() {
    let machine = Machine::new();
    let jobs = &file("jobs")["jobs"];
    let shards = jobs["shard"]["strategy"]["matrix"]["shard"].as_array().unwrap();
    for shard in shards {
        for script in strings(&jobs["shard"]["steps"], "run") {
            machine.shell(&script.replace("${{ matrix.shard }}", &shard.to_string()), &[]);
        }
    }
    for script in strings(&jobs["merge"]["steps"], "run") {
        machine.shell(script, &[]);
    }
    machine.has("junit.xml", "tests=\"13\" failures=\"0\"");
    machine.has("summary.md", "13 cases run: 13 passed");
}

#[test]
fn the_pipeline_of_gitlab_runs() {
    let machine = Machine::new();
    let pipeline = file("merge");
    let shards = pipeline["tapwright"]["parallel"].as_u64().unwrap();
    let script = |job: &str| {
        let lines = pipeline[job]["script"].as_array().unwrap();
        let lines: Vec<&str> = lines.iter().map(|line| line.as_str().unwrap()).collect();
        lines.join("\n")
    };
    for shard in 1..=shards {
        let (index, total) = (shard.to_string(), shards.to_string());
        let variables = [("CI_NODE_INDEX", &*index), ("CI_NODE_TOTAL", &*total)];
        machine.shell(&script("tapwright"), &variables);
        machine.has("junit.xml", "<testsuites");
    }
    machine.shell(&script("merge"), &[]);
    machine.has("summary.md", "13 cases run: 13 passed");
}

#[test]
fn the_job_of_kubernetes_runs() {
    let machine = Machine::new();
    let job = &file("kind")["spec"];
    let container = &job["template"]["spec"]["containers"][0];
    assert_eq!(container["command"], serde_json::json!(["/bin/sh", "-c"]));
    for index in 0..job["completions"].as_u64().unwrap() {
        let script = container["args"][0].as_str().unwrap();
        machine.shell(script, &[("JOB_COMPLETION_INDEX", &index.to_string())]);
    }
    let [prove, _kselftest, split, merge] = &blocks("sh")[..] else {
        panic!("four blocks of commands");
    };
    if is_there("prove") {
        machine.shell(prove, &[]);
    }
    machine.shell(merge, &[]);
    machine.has("reports/junit.xml", "tests=\"13\" failures=\"0\"");
    machine.shell(split, &[]);
    machine.has("junit.xml", "tests=\"13\" failures=\"0\"");
}
