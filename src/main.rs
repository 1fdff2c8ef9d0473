//! Arguments in, exit code out.

fn main() -> std::process::ExitCode {
    throughline::connect::tls::install();
    throughline::cli::main()
}
