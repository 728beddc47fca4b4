//! What languages write differently: comments, quotes, what a string holds of values, where a statement ends.

/// A language, as far as its texts have to be read differently.
#[derive(Debug)]
pub(super) struct Language {
    /// What a text of it has; each of these is one sign, of which two are needed.
    signs: &'static [&'static str],
    pub(super) line_comments: &'static [&'static str],
    pub(super) block_comments: &'static [(&'static str, &'static str)],
    /// What strings in double quotes, in single quotes and in backticks are.
    pub(super) double: Quote,
    pub(super) single: Quote,
    pub(super) backtick: Quote,
    /// A statement ends with its line, unless a bracket or an operator is open.
    pub(super) lines: bool,
    /// Words behind a program's name are its arguments, as in a shell.
    pub(super) commands: bool,
}

/// What a string in these quotes is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quote {
    /// No string: the line goes on, or the sign means nothing.
    None,
    /// As it is written.
    Raw,
    /// With escapes.
    Plain,
    /// With escapes, and values: `$x`, `${x}`, `$(x)`.
    Dollar,
    /// With escapes, and values: `#{x}`.
    Hash,
}

const C_LIKE: Language = Language {
    signs: &[],
    line_comments: &["//"],
    block_comments: &[("/*", "*/")],
    double: Quote::Plain,
    single: Quote::Plain,
    backtick: Quote::Raw,
    lines: false,
    commands: false,
};

const LANGUAGES: &[Language] = &[
    // PowerShell
    Language {
        signs: &["param(", "Start-Process", "$env:", "Write-Host", "-ArgumentList", "= @(", "& $"],
        line_comments: &["#"],
        block_comments: &[("<#", "#>")],
        double: Quote::Dollar,
        single: Quote::Raw,
        backtick: Quote::None,
        lines: true,
        commands: true,
    },
    // Perl
    Language {
        signs: &[
            "use strict",
            "use warnings",
            "/perl",
            "\nmy ",
            "push @",
            "foreach my",
            "->{",
            "qw(",
        ],
        line_comments: &["#"],
        block_comments: &[("\n=pod", "\n=cut")],
        double: Quote::Dollar,
        single: Quote::Raw,
        ..C_LIKE
    },
    // PHP
    Language {
        signs: &["<?php", "$args[]", "array(", "array_push", "escapeshellarg", "foreach ($"],
        line_comments: &["//", "#"],
        double: Quote::Dollar,
        single: Quote::Raw,
        ..C_LIKE
    },
    // Go
    Language {
        signs: &["package ", "func ", ":= ", "[]string{", "fmt.", "exec.Command"],
        lines: true,
        ..C_LIKE
    },
    // C and C++
    Language {
        signs: &["#include", "#define", "char *", "int main", "execv", "std::vector", "NULL"],
        ..C_LIKE
    },
    // Rust
    Language {
        signs: &["fn ", "let mut ", "Command::new", "vec![", "format!(", ".arg(", "&str"],
        single: Quote::None,
        ..C_LIKE
    },
    // Java and C#
    Language {
        signs: &[
            "public ",
            "new ProcessBuilder",
            "import java",
            "List<String>",
            "static final ",
            "using System",
            "String ",
        ],
        ..C_LIKE
    },
    // JavaScript and TypeScript
    Language {
        signs: &["const ", "require(", "=> ", "child_process", "spawn(", "let ", "console.log"],
        backtick: Quote::Dollar,
        lines: true,
        ..C_LIKE
    },
    // Ruby
    Language {
        signs: &["#!/usr/bin/env ruby", ".each do", "%w[", "%w(", "#{", "\nend", "require '"],
        line_comments: &["#"],
        block_comments: &[],
        double: Quote::Hash,
        single: Quote::Raw,
        lines: true,
        ..C_LIKE
    },
    // Lua
    Language {
        signs: &["local ", " .. ", "ipairs(", "os.execute", "table.insert", " then\n", "\nend"],
        line_comments: &["--"],
        block_comments: &[("--[[", "]]")],
        lines: true,
        ..C_LIKE
    },
    // HCL
    Language {
        signs: &[
            "job \"",
            "task \"",
            "group \"",
            "resource \"",
            "variable \"",
            "env {",
            "config {",
            "args = [",
        ],
        line_comments: &["#", "//"],
        double: Quote::Dollar,
        single: Quote::None,
        lines: true,
        ..C_LIKE
    },
    // Groovy, Kotlin, Scala
    Language {
        signs: &[
            "def ",
            "println",
            "listOf(",
            "val ",
            "fun main",
            ".execute()",
            "tasks.register",
            "${",
        ],
        double: Quote::Dollar,
        single: Quote::Raw,
        lines: true,
        ..C_LIKE
    },
];

/// The language of a text; none where two of its signs are missing for each.
pub(super) fn of(text: &str) -> Option<&'static Language> {
    let count =
        |language: &&Language| language.signs.iter().filter(|sign| text.contains(*sign)).count();
    // Of languages alike, the first.
    let best = LANGUAGES.iter().rev().max_by_key(count)?;
    (count(&best) > 1).then_some(best)
}
