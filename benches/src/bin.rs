//! `cargo run --release -p ipmb-bench`.

fn main() -> std::process::ExitCode {
    ipmb_bench::main()
}
