fn main() {
    println!(
        "{}",
        bench::peers::gstreamer::Gstreamer::live_down(
            &[5001, 5002, 5003, 5004, 5005, 5006, 5007, 5008],
            6000
        )
    );
    println!("{}", bench::peers::gstreamer::Gstreamer::live_up(5001, 6000));
}
