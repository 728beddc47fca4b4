//! Programs that compute a command line: what they name is bound, functions are called, loops are unrolled over
//! what the text has. One evaluation for all languages with brackets; what they write differently is a table.

mod eval;
mod expression;
mod language;
mod library;
mod reach;
mod run;
mod statement;
mod syntax;
mod token;
mod value;

use super::{
    code, flag,
    shell::{Shell, Simple},
};

/// Most bytes of a program.
const MOST_READ: usize = 1 << 17;

/// What a program has of QEMU's.
pub(super) struct Program {
    pub(super) commands: Vec<Simple>,
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

/// The commands of a program; none where the text is none, or no command comes of it.
pub(super) fn read(text: &str, shell: &mut Shell) -> Option<Program> {
    if text.len() > MOST_READ || !flag::is_qemus(text) {
        return None;
    }
    let language = language::of(text)?;
    let (tokens, bare) = token::read(text, language);
    let statements = syntax::parse(&tokens, language);
    let mut run = run::Run::new(language, shell);
    run.all(&statements);
    let (commands, branches, remarks) = (run.commands, run.branches, run.remarks);
    let commands: Vec<Simple> = commands
        .into_iter()
        .filter_map(|words| code::command(words.into_iter().map(program).collect(), shell))
        .collect();
    (!commands.is_empty()).then_some(Program { commands, branches, remarks, bare })
}
