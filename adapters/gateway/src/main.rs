//! The program `whimbrel`: a gateway on the command line.

mod cli;

fn main() -> std::process::ExitCode {
    cli::run()
}
