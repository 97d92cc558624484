//! `gantry`: the box at its serial console, its front panel and its command line.

fn main() {}
