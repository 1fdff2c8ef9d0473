//! The demo as whoever tries the program first meets it.

use std::process::{Command, Output};

/// Long enough for each fault to have its turn, the warehouse's halt included.
const SECONDS: &str = "24";

#[test]
fn every_fault_of_the_shop_is_found_and_nothing_else() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_throughline"));
    let Output { status, stdout, stderr } = command.args(["demo", "--seconds", SECONDS]).output().unwrap();
    let (told, said) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert_eq!(status.code(), Some(0), "{told}{said}");
    assert!(told.contains("all faults were found, and nothing else"), "{told}");
    let score = told.split_once("injected  found\n").expect("a score").1;
    let counts = score.lines().filter(|line| line.starts_with("a") || line.starts_with("the ")).take(8);
    for line in counts {
        let numbers: Vec<u64> = line.split_whitespace().rev().take(2).map(|number| number.parse().unwrap()).collect();
        assert!(numbers[0] == numbers[1] && numbers[0] > 0, "{line}\n{told}");
    }
}
