//! What becomes of licences while the box holds them: taken early or late, over, renewed, lost.

use super::*;

const YEAR: (&str, &str) = ("2026-01-01", "2026-12-31");

#[test]
fn p15_a_licence_that_is_early_is_refused_unless_it_is_meant_to_be_kept_until_its_first_day() {
    let (mut licences, file) = (licences(), acme().sign(&payload("next", 4, 0, YEAR)));
    let early = on("2025-12-01");
    let refused = licences.upload(&file, early, Early::Refused).map(drop);
    assert!(matches!(refused, Err(LicenceError::NotYetValid { .. })), "{refused:?}");
    assert_eq!(licences.held(), []);
    licences.upload(&file, early, Early::Kept).unwrap();
    assert_eq!(licences.entitlement(early).calls, Allowance::Of(0));
    assert_eq!(licences.entitlement(on("2026-01-01")).calls, Allowance::Of(4));
}

#[test]
fn p15_a_licence_that_is_over_is_refused_but_one_that_was_taken_before_is_kept_and_counts_for_nothing() {
    let (mut licences, file) = (licences(), acme().sign(&payload("old", 4, 0, YEAR)));
    let late = on("2027-01-01");
    for early in [Early::Refused, Early::Kept] {
        let refused = licences.upload(&file, late, early).map(drop);
        assert!(matches!(refused, Err(LicenceError::Expired { .. })), "{refused:?}");
    }
    licences.restore(&file).unwrap();
    assert_eq!((licences.held().len(), licences.entitlement(late).calls), (1, Allowance::Of(0)));
    assert_eq!(licences.restore(&file), Err(LicenceError::SameId("old".into())));
    let foreign = Vendor::new("other", 8).sign(&payload("foreign", 4, 0, YEAR));
    assert!(matches!(licences.restore(&foreign), Err(LicenceError::UnknownSigner { .. })));
}

#[test]
fn p15_a_licence_is_told_of_as_it_stands() {
    let mut licences = licences();
    let licence = licences.add(&acme().sign(&payload("a", 4, 0, YEAR)), on("2026-06-01")).unwrap().clone();
    for (day, standing) in [
        ("2025-12-31", Standing::Later),
        ("2026-01-01", Standing::Counts),
        ("2026-12-01", Standing::Counts),
        ("2026-12-02", Standing::EndsSoon),
        ("2026-12-31", Standing::EndsSoon),
        ("2027-01-01", Standing::Over),
    ] {
        assert_eq!(licence.standing(on(day)), standing, "{day}");
    }
}

#[test]
fn p15_the_end_of_a_licence_that_is_renewed_is_no_loss() {
    let mut licences = licences();
    let now = on("2026-06-01");
    licences.add(&acme().sign(&payload("this year", 10, 1, YEAR)), now).unwrap();
    let lost = |licences: &Licences, day: &str| -> Vec<String> {
        licences.lost(on(day)).map(|licence| licence.id().to_owned()).collect()
    };
    assert_eq!(lost(&licences, "2025-06-01"), [""; 0], "it has not begun");
    assert_eq!(lost(&licences, "2026-06-01"), ["this year"]);
    assert_eq!(lost(&licences, "2027-01-02"), ["this year"]);
    // Fewer than before are no renewal; as many are, even if they come late.
    let next = ("2027-02-01", "2027-12-31");
    licences.add(&acme().sign(&payload("fewer", 8, 1, next)), now).unwrap();
    assert_eq!(lost(&licences, "2027-03-01"), ["this year", "fewer"]);
    licences.add(&acme().sign(&payload("the rest", 2, 0, next)), now).unwrap();
    assert_eq!(lost(&licences, "2026-12-31"), ["this year"], "between them is a month");
    assert_eq!(lost(&licences, "2027-03-01"), ["fewer", "the rest"]);
    assert_eq!(Licences::unmetered().lost(now).count(), 0);
}

#[test]
fn p15_tokens_that_are_there_stay_when_their_licence_ends_but_none_is_added() {
    let mut licences = licences();
    licences.add(&acme().sign(&payload("a", 0, 2, YEAR)), on("2026-06-01")).unwrap();
    let during = licences.entitlement(on("2026-06-01"));
    assert_eq!(during.check_more_tokens(1, 2), Ok(()));
    assert_eq!(during.check_more_tokens(2, 3), Err(TooManyTokens { held: 3, licensed: 2 }));
    let after = licences.entitlement(on("2027-06-01"));
    for (before, held) in [(2, 2), (2, 1), (1, 0)] {
        assert_eq!(after.check_more_tokens(before, held), Ok(()));
    }
    assert_eq!(after.check_more_tokens(0, 1), Err(TooManyTokens { held: 1, licensed: 0 }));
}

#[test]
fn a_box_says_whose_licences_it_takes_and_for_which_serial_number() {
    assert_eq!(licences().vendors().collect::<Vec<_>>(), ["acme"]);
    assert_eq!(licences().serial(), Some(SERIAL));
}
