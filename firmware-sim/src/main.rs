//! The program `firmware-sim`.

mod cli;
mod progress;

fn main() -> std::process::ExitCode {
    cli::main()
}
