//! `cargo bench -p ipmb-bench`.

fn main() -> std::process::ExitCode {
    ipmb_bench::main()
}
