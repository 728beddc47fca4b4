//! Programs that compute a command line: what they name is bound, functions are called, loops are unrolled over
//! what the text has. One evaluation for all languages with brackets; what they write differently is a table.

mod behind;
mod brackets;
mod call;
mod class;
mod eval;
mod expression;
mod language;
mod library;
mod nix;
mod object;
mod parameter;
mod reach;
mod run;
mod start;
mod statement;
mod step;
mod syntax;
#[cfg(test)]
mod tests;
mod text;
mod token;
mod value;
mod values;

use super::{
    code, flag,
    paste::Piece,
    shell::{Shell, Simple},
};

/// Most bytes of a program.
const MOST_READ: usize = 1 << 17;

/// What a program has of QEMU's.
pub(super) struct Program {
    /// Its command lines, each with its machine where there are several.
    pub(super) commands: Vec<(Option<String>, Simple)>,
    /// What it says to monitors, each with its machine; none where a machine is not known.
    pub(super) steps: Option<Vec<(Option<String>, Piece)>>,
    pub(super) branches: Vec<String>,
    pub(super) remarks: Vec<String>,
    /// The text without its comments.
    pub(super) bare: String,
}

/// A program without its folder, whose name may have blanks.
fn program(word: String) -> String {
    match flag::is_program(&word) {
        true => word.rsplit(['/', '\\']).next().unwrap_or_default().to_owned(),
        false => word,
    }
}

/// Whether a text is a program of a language that is known.
pub(super) fn is_one(text: &str) -> bool {
    language::of(text).is_some()
}

/// What a program starts and says; none where the text is none. Where it starts nothing, what it says is said to
/// machines that are known: their names, and the words of their command lines.
pub(super) fn read(
    text: &str,
    shell: &mut Shell,
    known: &[(Option<String>, Vec<String>)],
) -> Option<Program> {
    if text.len() > MOST_READ {
        return None;
    }
    let language = language::of(text)?;
    let (tokens, bare, loops) = token::with_loops(text, language);
    let statements = syntax::parse(&tokens, &loops, language);
    let mut run = run::Run::new(language, shell);
    run.all(&statements);
    let starts = !run.commands.is_empty();
    if !starts {
        run.know(known);
    }
    let (machines, steps) = (run.machines(), run.steps());
    let (started, branches, remarks) = (run.commands, run.branches, run.remarks);
    let of = |(name, words): (Option<String>, Vec<String>)| {
        let words = words.into_iter().map(program).collect();
        Some((name, code::command(words, shell)?))
    };
    let started = started.into_iter().map(|started| started.words).filter(|_| starts);
    let commands: Vec<(Option<String>, Simple)> =
        machines.into_iter().zip(started).filter_map(of).collect();
    Some(Program { commands, steps, branches, remarks, bare })
}
