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
    /// Blocks are what is indented.
    pub(super) indents: bool,
    /// Blocks end with `end`.
    pub(super) ends: bool,
    /// `:name` is a text, `@name` an object's own; a call's arguments may stand behind its name without brackets.
    pub(super) symbols: bool,
    /// A word stands in front of an object's own fields: `self.x`, `this.x`.
    pub(super) names_object: bool,
    /// What a function ends with is what it gives.
    pub(super) last_is_value: bool,
    /// `{$x}` in a string is a value, with its braces.
    pub(super) braced: bool,
    /// Arguments stand behind a function without brackets, and the text is one value.
    pub(super) is_value: bool,
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
    /// With escapes, and values: `{x}`.
    Brace,
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
    indents: false,
    ends: false,
    symbols: false,
    names_object: false,
    last_is_value: false,
    braced: false,
    is_value: false,
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
        ..C_LIKE
    },
    // Python and Starlark
    Language {
        signs: &[
            "/usr/bin/env python",
            "import subprocess",
            "import os",
            "import sys",
            "import json",
            "\nfrom ",
            "def ",
            "elif ",
            "):\n",
            ":\n    ",
            "__name__",
            "subprocess.",
            "self.",
            "f\"",
            "print(",
            ".append(",
            " += [",
            "lambda ",
            "await ",
            "import asyncio",
            "import argparse",
            "import time",
            ".add_argument(",
        ],
        line_comments: &["#"],
        block_comments: &[],
        backtick: Quote::None,
        lines: true,
        indents: true,
        names_object: true,
        ..C_LIKE
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
        names_object: true,
        braced: true,
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
        names_object: true,
        last_is_value: true,
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
        names_object: true,
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
        ends: true,
        symbols: true,
        last_is_value: true,
        names_object: true,
        ..C_LIKE
    },
    // Lua
    Language {
        signs: &["local ", " .. ", "ipairs(", "os.execute", "table.insert", " then\n", "\nend"],
        line_comments: &["--"],
        block_comments: &[("--[[", "]]")],
        lines: true,
        ends: true,
        ..C_LIKE
    },
    // Nix
    Language {
        signs: &[
            "pkgs",
            "nixpkgs",
            "let\n",
            "\nin",
            "inherit ",
            "''\n",
            "lib.",
            "toString ",
            " ++ ",
            "builtins.",
            "= {\n",
        ],
        line_comments: &["#"],
        double: Quote::Dollar,
        single: Quote::None,
        is_value: true,
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
