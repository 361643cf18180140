//! The outer form of DER (X.690), for what is read from certificates and keys without a parser of their own. Pure.

/// The tag of an INTEGER.
pub const INTEGER: u8 = 0x02;
/// The tag of an OCTET STRING.
pub const OCTET_STRING: u8 = 0x04;
/// The tag of a SEQUENCE.
pub const SEQUENCE: u8 = 0x30;

/// The first element of DER (X.690 8.1): its tag, its content, and what follows.
pub fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match usize::from(*first) {
        short @ 0..=0x7f => (short, rest),
        long @ 0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(long - 0x80)?;
            (bytes.iter().try_fold(0usize, |sum, byte| sum.checked_mul(256)?.checked_add(usize::from(*byte)))?, rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

/// The first element, where its tag is `tag`: its content, and what follows.
pub fn tagged(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = element(der)?;
    (found == tag).then_some((content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_ends_where_its_length_says() {
        assert_eq!(element(&[2, 1, 7, 9]), Some((INTEGER, &[7][..], &[9][..])));
        let long = [&[SEQUENCE, 0x82, 1, 0][..], &[5; 256], &[1]].concat();
        assert_eq!(element(&long).map(|(_, content, rest)| (content.len(), rest)), Some((256, &[1][..])));
        assert_eq!(tagged(&[2, 1, 7], OCTET_STRING), None);
    }

    #[test]
    fn what_is_cut_off_is_no_element() {
        for der in [&[][..], &[0x30], &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], &[0x30, 0x80], &[0x30, 2, 1], &[0x30, 0x85, 0, 0, 0, 0, 0]] {
            assert_eq!(element(der), None, "{der:?}");
        }
    }
}
