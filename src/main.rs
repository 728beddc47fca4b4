//! The command `tapwright`.

use std::process::ExitCode;

fn main() -> ExitCode {
    tapwright::cli::main(std::env::args_os()).code().into()
}
