//! Files that are taken for prompts, and files that are not, each with its own sentence.

use super::*;
use proptest::prelude::*;

fn wav(format: u16, channels: u16, rate: u32, bits: u16, data: &[u8]) -> Vec<u8> {
    let mut file = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0".to_vec();
    file.extend(format.to_le_bytes());
    file.extend(channels.to_le_bytes());
    file.extend(rate.to_le_bytes());
    file.extend((rate * 2 * u32::from(channels)).to_le_bytes());
    file.extend((2 * channels).to_le_bytes());
    file.extend(bits.to_le_bytes());
    // A chunk of an odd size that nobody knows, as recorders leave them.
    file.extend(b"LIST\x03\0\0\0abc\0data");
    file.extend(u32::try_from(data.len()).expect("small").to_le_bytes());
    file.extend(data);
    file
}

fn png(width: u32, height: u32, color: png::ColorType, pixel: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(color);
    let pixels: Vec<u8> =
        pixel.iter().copied().cycle().take(pixel.len() * (width * height) as usize).collect();
    encoder.write_header().and_then(|mut writer| writer.write_image_data(&pixels)).expect("encoded");
    file
}

fn why(name: &str, bytes: &[u8]) -> String {
    check(name, bytes).expect_err("refused").to_string()
}

fn check(name: &str, bytes: &[u8]) -> Result<Part, Refused> {
    name.parse::<File>()?.check(bytes)
}

/// P5
#[test]
fn p5_a_wav_file_in_mono_or_stereo_becomes_a_voice() {
    let part = check("welcome.wav", &wav(1, 1, 16_000, 16, &[1, 0, 0xff, 0xff])).expect("taken");
    let Part::Voice(voice) = part else { panic!("{part:?}") };
    assert_eq!((voice.rate(), voice.samples()), (16_000, &[1, -1][..]));
    let stereo = Voice::parse(&wav(1, 2, 48_000, 16, &[10, 0, 20, 0])).expect("taken");
    assert_eq!(stereo.samples(), [15], "the mean of both channels");
}

/// P5
#[test]
fn p5_each_prompt_has_a_picture_and_a_voice_by_name() {
    let names: Vec<String> = File::all().map(|file| file.to_string()).collect();
    assert_eq!((names.len(), &names[..2]), (22, &["welcome.png".to_owned(), "welcome.wav".to_owned()][..]));
    assert!(File::all().all(|file| file.to_string().parse() == Ok(file)));
}

/// P5
#[test]
fn p5_a_png_file_of_any_colour_becomes_a_picture() {
    use png::ColorType::{Grayscale, GrayscaleAlpha, Rgb, Rgba};
    let parsed =
        |color, pixel: &[u8]| Picture::parse(&png(80, 64, color, pixel)).expect("taken").rgb()[..3].to_vec();
    assert_eq!(parsed(Rgb, &[1, 2, 3]), [1, 2, 3]);
    assert_eq!(parsed(Rgba, &[200, 100, 50, 0]), [0, 0, 0]);
    assert_eq!(parsed(Rgba, &[200, 100, 50, 255]), [200, 100, 50]);
    assert_eq!(parsed(Grayscale, &[77]), [77, 77, 77]);
    assert_eq!(parsed(GrayscaleAlpha, &[77, 255]), [77, 77, 77]);
    let picture = Picture::parse(&png(1280, 720, Rgb, &[0, 0, 0])).expect("taken");
    assert_eq!((picture.width(), picture.height(), picture.rgb().len()), (1280, 720, 1280 * 720 * 3));
}

#[test]
fn each_wrong_file_is_refused_by_its_own_sentence() {
    let sound = [0; 320];
    assert_eq!(why("welcome.wav", b"ID3"), "welcome.wav is no WAV file; save it as WAV, PCM, 16 bit");
    assert_eq!(
        why("lobby.wav", &wav(6, 1, 8_000, 8, &sound)),
        "lobby.wav holds format 6 with 8 bits a sample; save it as PCM, 16 bit"
    );
    assert_eq!(
        why("lobby.wav", &wav(1, 6, 8_000, 16, &sound)),
        "lobby.wav has 6 channels; save it in mono or stereo"
    );
    assert!(why("lobby.wav", &wav(1, 1, 96_000, 16, &sound)).contains("take 8000 to 48000"));
    assert!(why("lobby.wav", &wav(1, 1, 8_000, 16, &[])).contains("holds no sound"));
    assert!(
        why("lobby.wav", &wav(1, 1, 8_000, 16, &vec![0; 2 * 8_000 * 61])).contains("longer than 60 seconds")
    );
    let whole = wav(1, 1, 8_000, 16, &sound);
    assert!(why("lobby.wav", &whole[..whole.len() - 1]).contains("cut short: its data part"));
    assert!(why("lobby.wav", &vec![0; MAX_WAV_BYTES + 1]).contains("at most 12582912 are taken"));

    assert!(why("full.png", b"GIF89a").contains("is no whole PNG file"));
    let tiny = png(63, 64, png::ColorType::Rgb, &[0; 3]);
    assert!(why("full.png", &tiny).contains("is 63x64; it may have 64x64 to 1920x1088 pixels"));
    // What a worker can't show is not taken.
    assert!(why("full.png", &png(64, 1090, png::ColorType::Rgb, &[0; 3])).contains("is 64x1090"));
    let whole = png(64, 64, png::ColorType::Rgb, &[9; 3]);
    assert!(why("full.png", &whole[..whole.len() / 2]).contains("is no whole PNG file"));

    assert!(why("goodbye.wav", &sound).contains(r#""goodbye.wav" is no prompt's file; call it after one"#));
    assert!(why("welcome.mp3", &sound).contains("welcome.wav or welcome.png"));
    assert!(why("welcome", &sound).contains("there are welcome, try-again"));
}

proptest! {
    #[test]
    fn no_damage_to_a_file_makes_the_check_panic(at in 0..400_usize, with in any::<u8>(), cut in 0..400_usize) {
        for (name, mut file) in [("full.wav", wav(1, 2, 8_000, 16, &[7; 320])), ("full.png", png(64, 64, png::ColorType::Rgb, &[9; 3]))] {
            if let Some(byte) = file.get_mut(at) {
                *byte = with;
            }
            file.truncate(file.len().saturating_sub(cut / 4));
            let _ = check(name, &file);
        }
    }

    #[test]
    fn no_bytes_make_the_check_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = check("full.wav", &[b"RIFF\0\0\0\0WAVE", &bytes[..]].concat());
        let _ = check("full.png", &bytes);
    }
}
