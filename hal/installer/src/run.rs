//! The course of an installation.

use crate::payload::Stick;
use crate::target;
use anyhow::{Context, Result, bail, ensure};
use board::Board;
use flash::identity::{Identity, serial_number};
use flash::label::Label;
use flash::order::{Disk, Order, Then};
use initrd::devices::Uevents;
use initrd::early;
use std::fs::File;
use std::path::Path;
use std::time::Duration;

/// Where the kernel shows the firmware's tables.
const FIRMWARE: &str = "/sys/class/dmi/id";
/// Disks are all there when none came for so long.
const SETTLED: Duration = Duration::from_secs(3);

/// An installation that is done.
pub struct Done {
    /// What comes after.
    pub then: Then,
}

/// Installs. An error before the disk is chosen says that nothing was written.
///
/// # Errors
/// If the box, the order or the disk is not the right one, or writing fails.
pub fn install() -> Result<Done> {
    early::mounts()?;
    let uevents = Uevents::listen()?;
    early::load(early::EARLY)?;
    let (stick, order, disk) = prepare(&uevents).context("nothing was written")?;
    let node = Path::new("/dev").join(&disk.name);
    println!("installer: this disk is written: {disk}");
    let (mut image, size) = stick.image()?;
    let who = (|| {
        target::write(&node, disk.bytes, &mut image, size)?;
        let serial = order.serial.clone().or_else(|| of_firmware(&stick.board, Path::new(FIRMWARE)));
        let who = Identity::new(serial, &mut File::open("/dev/urandom")?)?;
        target::identify(&uevents, &node, &who)?;
        Ok::<_, anyhow::Error>(who)
    })()
    .with_context(|| format!("{} is not whole, and the box can't start from it", node.display()))?;
    say(&stick, &who)?;
    Ok(Done { then: order.then })
}

/// Everything that may refuse.
fn prepare(uevents: &Uevents) -> Result<(Stick, Order, Disk)> {
    let stick = Stick::find(uevents)?;
    println!(
        "installer: Gantry {} ({}) for {}, {}",
        stick.version, stick.build, stick.board.name, stick.board.title
    );
    right_box(&stick.board, Path::new(FIRMWARE))?;
    uevents.settle(SETTLED);
    let disks = target::disks(&stick.disk()?)?;
    for disk in &disks {
        println!("installer: disk {disk}");
    }
    let order = Order::parse(&stick.order()?)?;
    let (_, size) = stick.image()?;
    let disk = order.choose(&disks, size)?.clone();
    Ok((stick, order, disk))
}

/// Refuses every box but those that the image is for.
fn right_box(board: &Board, firmware: &Path) -> Result<()> {
    let product = std::fs::read_to_string(firmware.join("product_name"));
    let Ok(product) = product else {
        bail!("this box's firmware does not say what box it is; the image is for {:?}", board.product)
    };
    let product = product.trim();
    ensure!(
        product == board.product,
        "this box is {product:?} and the image is for {:?} ({})",
        board.product,
        board.name
    );
    Ok(())
}

/// The serial number in the firmware's tables, if the board keeps it there and there is a real one.
fn of_firmware(board: &Board, firmware: &Path) -> Option<String> {
    let board::Identity::Smbios { serial_number: field, .. } = &board.identity else { return None };
    let text = std::fs::read_to_string(firmware.join(field.file())).ok()?;
    serial_number(text.trim())
        .ok()
        .filter(|text| text.bytes().any(|byte| byte.is_ascii_digit() && byte != b'0'))
}

/// Shows the label, and leaves it on the stick.
fn say(stick: &Stick, who: &Identity) -> Result<()> {
    let label = Label::new(stick.board.name.as_str(), who, &stick.version).map_err(anyhow::Error::msg)?;
    println!("\n{}", label.text);
    let folder = format!("labels/{}", who.serial);
    let left = stick.leave(&folder, &[("label.txt", &label.text), ("label.svg", &label.svg)]);
    match left {
        Ok(()) => println!("installer: the label is on the stick, in {folder}"),
        Err(error) => println!("installer: write the label down, the stick does not take it: {error:#}"),
    }
    println!("installer: done; take the stick out");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board() -> Board {
        Board::parse(include_str!("../../../board/qemu-x86_64/board.toml")).unwrap()
    }

    fn firmware(product: &str, serial: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("product_name"), product).unwrap();
        std::fs::write(folder.path().join("product_serial"), serial).unwrap();
        folder
    }

    #[test]
    fn a_box_that_the_image_is_not_for_is_refused_by_name() {
        let right = firmware("Standard PC (Q35 + ICH9, 2009)\n", "");
        right_box(&board(), right.path()).unwrap();
        let wrong = firmware("Toaster\n", "");
        let error = right_box(&board(), wrong.path()).unwrap_err().to_string();
        assert!(error.contains("\"Toaster\"") && error.contains("qemu-x86_64"), "{error}");
        right_box(&board(), Path::new("/nowhere")).unwrap_err();
    }

    #[test]
    fn a_serial_number_is_the_firmwares_if_that_has_a_real_one() {
        let read = |text: &str| of_firmware(&board(), firmware("", text).path());
        assert_eq!(read("GX0001\n").as_deref(), Some("GX0001"));
        for none in ["", "Not Specified\n", "To be filled by O.E.M.\n", "0000000000\n", "None\n"] {
            assert_eq!(read(none), None, "{none}");
        }
    }
}
