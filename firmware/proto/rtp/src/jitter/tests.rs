//! The buffer in virtual time: a sender's packets through a network of chosen faults, heard by a steady listener.

use super::*;
use rand::rngs::ChaCha12Rng;
use rand::{RngExt, SeedableRng};

const FRAME: Duration = Duration::from_millis(20);
const TICKS: u32 = 960;

struct Sent {
    at: Duration,
    seq: u16,
    ts: u32,
}

/// `count` packets, 20 ms apart, from numbers that will wrap.
fn sender(count: u32) -> Vec<Sent> {
    (0..count)
        .map(|n| Sent {
            at: FRAME * n,
            seq: 65_500_u16.wrapping_add(n as u16),
            ts: (u32::MAX - 20_000).wrapping_add(n * TICKS),
        })
        .collect()
}

struct Heard {
    at: Duration,
    out: Playout<u32>,
}

/// Plays packets into a buffer and hears it out; the payload is the packet's number.
fn listen(mut packets: Vec<(Duration, Sent)>, until: Duration) -> (Vec<Heard>, JitterBuffer<u32>) {
    packets.sort_by_key(|(arrives, _)| *arrives);
    let epoch = Instant::now();
    let mut buffer = JitterBuffer::new(48_000, Beat::of(epoch));
    let mut heard = Vec::new();
    let mut packets = packets.into_iter().peekable();
    loop {
        let arrival = packets.peek().map(|(at, _)| epoch + *at);
        let Some(now) = base::earliest(arrival, buffer.poll_at()).filter(|now| *now <= epoch + until) else {
            break;
        };
        if arrival == Some(now) {
            let (_, sent) = packets.next().unwrap();
            let number = (sent.at.as_micros() / FRAME.as_micros()) as u32;
            buffer.push(now, sent.seq, sent.ts, number);
        }
        while let Some(out) = buffer.pop(now) {
            heard.push(Heard { at: now - epoch, out });
        }
    }
    (heard, buffer)
}

fn numbers(heard: &[Heard]) -> Vec<u32> {
    heard
        .iter()
        .filter_map(|h| match h.out {
            Playout::Frame { payload, .. } => Some(payload),
            Playout::Lost { .. } => None,
        })
        .collect()
}

fn lost(heard: &[Heard]) -> usize {
    heard.len() - numbers(heard).len()
}

fn assert_steady(heard: &[Heard]) {
    for two in heard.windows(2) {
        assert_eq!(two[1].at - two[0].at, FRAME, "at {:?}", two[0].at);
    }
}

fn assert_in_order(heard: &[Heard]) {
    assert!(numbers(heard).windows(2).all(|two| two[0] < two[1]));
}

#[test]
fn a_perfect_network_costs_the_least_delay_and_loses_nothing() {
    let packets = sender(1000).into_iter().map(|sent| (sent.at + Duration::from_millis(30), sent)).collect();
    let (heard, buffer) = listen(packets, Duration::from_millis(19_990));
    assert_eq!(buffer.target(), Duration::from_millis(20));
    let numbers = numbers(&heard);
    assert!(numbers.len() >= 995 && lost(&heard) == 0);
    // at most the delay it started with is left, and the wait for the beat
    let last = heard.last().unwrap();
    assert!(last.at - FRAME * *numbers.last().unwrap() <= Duration::from_millis(30 + 30) + Beat::STEP);
}

#[test]
fn ten_percent_loss_100_ms_jitter_and_reordering_leave_sound_in_order_at_a_steady_pace() {
    let mut rng = ChaCha12Rng::from_seed([5; 32]);
    let mut arrived = 0;
    let packets: Vec<_> = sender(3000)
        .into_iter()
        .filter(|_| rng.random_range(0..10) != 0)
        .collect::<Vec<_>>()
        .into_iter()
        .map(|sent| (sent.at + Duration::from_millis(rng.random_range(20..120)), sent))
        .inspect(|_| arrived += 1)
        .collect();
    let (heard, buffer) = listen(packets, Duration::from_millis(59_900));
    assert_steady(&heard);
    assert_in_order(&heard);
    // nearly all that arrived is heard, the rest concealed, at a delay that fits the jitter
    let played = numbers(&heard).len();
    assert!(played * 100 >= arrived * 95, "{played} of {arrived}, {:?}", buffer.stats());
    let stats = buffer.stats();
    assert!(lost(&heard) < 500, "{stats:?}");
    assert!((80..=130).contains(&buffer.target().as_millis()), "{:?}", buffer.target());
}

#[test]
fn a_lost_packet_is_concealed_once() {
    let packets = sender(200).into_iter().filter(|sent| sent.at != FRAME * 100);
    let (heard, _) = listen(packets.map(|sent| (sent.at, sent)).collect(), Duration::from_millis(3_900));
    assert_steady(&heard);
    assert_eq!(lost(&heard), 1);
    assert_eq!(numbers(&heard).len(), heard.len() - 1);
    let at = heard.iter().position(|h| matches!(h.out, Playout::Lost { .. })).unwrap();
    assert!(matches!(heard[at - 1].out, Playout::Frame { payload: 99, .. }));
    assert!(matches!(heard[at + 1].out, Playout::Frame { payload: 101, contiguous: true, .. }));
}

#[test]
fn duplicates_are_heard_once() {
    let twice = sender(200).into_iter().zip(sender(200)).flat_map(|(a, b)| {
        let again = b.at + Duration::from_millis(70);
        [(a.at, a), (again, b)]
    });
    let (heard, buffer) = listen(twice.collect(), Duration::from_millis(3_900));
    assert_in_order(&heard);
    assert_eq!(lost(&heard), 0);
    assert!(buffer.stats().duplicate > 190 && buffer.stats().late == 0);
}

#[test]
fn a_silent_peer_pauses_the_playout_and_its_next_word_is_heard_whole() {
    // given a peer that stops sending for 3 s, its sequence numbers going on (DTX)
    let mut packets = Vec::new();
    for mut sent in sender(300) {
        let n = (sent.at.as_millis() / 20) as u32;
        if n >= 150 {
            sent.seq = 65_500_u16.wrapping_add((n - 150 + 50) as u16);
        } else if n >= 50 {
            continue;
        }
        packets.push((sent.at, sent));
    }
    let (heard, _) = listen(packets, Duration::from_millis(5_900));
    assert_eq!(lost(&heard), MAX_CONCEALED as usize);
    let expected: Vec<_> = (0..50).chain(150..150 + (numbers(&heard).len() as u32 - 50)).collect();
    assert_eq!(numbers(&heard), expected);
    assert!(heard.iter().all(|h| !matches!(h.out, Playout::Frame { contiguous: false, .. })));
}

#[test]
fn a_network_that_stalls_and_then_delivers_all_at_once_is_caught_up_with() {
    // given 1 s in which nothing comes, then everything
    let stalled = |at: Duration| at.max(Duration::from_secs(3)).min(at + Duration::from_secs(1));
    let packets = sender(1000).into_iter().map(|sent| {
        let at = if sent.at >= Duration::from_secs(2) { stalled(sent.at) } else { sent.at };
        (at, sent)
    });
    let (heard, _) = listen(packets.collect(), Duration::from_millis(19_990));
    assert_in_order(&heard);
    // then at the end the delay is bounded again
    let last = heard.iter().rev().find_map(|h| match h.out {
        Playout::Frame { payload, .. } => Some(h.at - FRAME * payload),
        Playout::Lost { .. } => None,
    });
    assert!(last.unwrap() <= limits::JITTER_MAX, "{last:?}");
}

#[test]
fn timestamps_that_start_over_are_followed_at_the_second_packet() {
    let packets = sender(400).into_iter().map(|mut sent| {
        if sent.at >= Duration::from_secs(4) {
            sent.ts = sent.ts.wrapping_add(2_000_000_000);
            sent.seq = sent.seq.wrapping_add(20_000);
        }
        (sent.at, sent)
    });
    let (heard, _) = listen(packets.collect(), Duration::from_millis(7_900));
    assert_in_order(&heard);
    assert!(numbers(&heard).len() > 385, "{}", numbers(&heard).len());
}

#[test]
fn one_stray_packet_does_not_disturb_the_stream() {
    let mut packets: Vec<_> = sender(200).into_iter().map(|sent| (sent.at, sent)).collect();
    packets.push((Duration::from_millis(2_005), Sent { at: Duration::from_secs(2), seq: 30_000, ts: 12 }));
    let (heard, _) = listen(packets, Duration::from_millis(3_900));
    assert_steady(&heard);
    assert_eq!(lost(&heard), 0);
}

#[test]
fn a_drifting_clock_neither_fills_nor_empties_the_buffer() {
    for drift in [0.999, 1.001] {
        let packets = sender(15_000).into_iter().map(|sent| (sent.at.mul_f64(drift), sent));
        let (heard, _) = listen(packets.collect(), Duration::from_secs(290));
        let last = heard.iter().rev().find_map(|h| match h.out {
            Playout::Frame { payload, .. } => Some((h.at, (FRAME * payload).mul_f64(drift))),
            Playout::Lost { .. } => None,
        });
        let (played, sent) = last.unwrap();
        assert!(played >= sent && played - sent < Duration::from_millis(100), "{drift}: {:?}", played - sent);
        // 1 in 1000 is one frame in 20 s
        assert!(lost(&heard) < 25, "{}", lost(&heard));
    }
}

#[test]
fn a_longer_frame_is_played_at_its_own_pace() {
    // given packets of 60 ms
    let packets = sender(300).into_iter().step_by(3).enumerate().map(|(n, mut sent)| {
        sent.seq = n as u16;
        (sent.at, sent)
    });
    let (heard, _) = listen(packets.collect(), Duration::from_millis(5_900));
    assert_eq!(lost(&heard), 0);
    for two in heard.windows(2).skip(3) {
        assert_eq!(two[1].at - two[0].at, 3 * FRAME);
    }
}

#[test]
fn keys_between_the_packets_are_not_taken_for_loss() {
    // given a key's packets between those of the sound, which goes on, and then in its place
    let (epoch, mut seq) = (Instant::now(), 0_u16);
    let mut buffer = JitterBuffer::new(8_000, Beat::of(epoch));
    let mut heard = Vec::new();
    for n in 0..200_u32 {
        let now = epoch + FRAME * n;
        if matches!(n, 50..60 | 100..110) {
            buffer.push_other(seq);
            seq += 1;
        }
        if !matches!(n, 100..110) {
            buffer.push(now, seq, n * 160, n);
            seq += 1;
        }
        heard.extend(std::iter::from_fn(|| buffer.pop(now)));
    }
    // then only the pause is concealed, for as long as nobody knows what it is
    let lost = heard.iter().filter(|out| matches!(out, Playout::Lost { .. })).count();
    assert_eq!(lost, MAX_CONCEALED as usize);
    assert!(heard.iter().all(|out| !matches!(out, Playout::Frame { contiguous: false, .. })));
}

#[test]
fn streams_of_any_phase_are_played_out_on_one_beat_and_keep_their_pace() {
    // given two senders whose packets come 7.3 ms apart
    let apart = Duration::from_micros(7_300);
    let senders = [Duration::ZERO, apart].map(|phase| {
        let packets = sender(100).into_iter().map(|sent| (phase + sent.at, sent));
        listen(packets.collect(), phase + FRAME * 100).0
    });
    // then each is heard on the beat, frame by frame
    for heard in &senders {
        assert!(heard.iter().all(|one| one.at.as_nanos().is_multiple_of(Beat::STEP.as_nanos())));
        assert!(heard.windows(2).all(|two| two[1].at - two[0].at == FRAME));
    }
    assert!(senders.iter().all(|heard| heard.len() >= 98), "nothing is lost by it");
}

#[test]
fn nothing_that_is_pushed_makes_it_panic_or_grow() {
    let mut rng = ChaCha12Rng::from_seed([9; 32]);
    let mut now = Instant::now();
    let mut buffer = JitterBuffer::new(8_000, Beat::of(now));
    let (mut seq, mut ts) = (0_u16, 0_u32);
    for _ in 0..200_000 {
        match rng.random_range(0..8) {
            0 => seq = rng.random(),
            1 => ts = rng.random(),
            2 => now += Duration::from_millis(rng.random_range(0..500)),
            3 => seq = seq.wrapping_sub(rng.random_range(0..20)),
            _ => {
                seq = seq.wrapping_add(1);
                ts = ts.wrapping_add(160);
            }
        }
        buffer.push(now, seq, ts, 0_u32);
        let mut out = 0;
        while buffer.pop(now).is_some() {
            out += 1;
            assert!(out < 2_000);
        }
        assert!(buffer.packets.len() <= limits::JITTER_PACKETS);
    }
}
