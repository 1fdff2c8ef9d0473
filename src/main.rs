//! Arguments in, exit code out.

fn main() -> std::process::ExitCode {
    throughline::cli::main()
}
