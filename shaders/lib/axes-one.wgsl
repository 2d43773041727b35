// One position of a token turns all frequencies.
fn placeOf(token: u32) -> u32 {
  return positions[token];
}
fn anglesOf(place: u32, c: u32) -> Angles {
  return anglesAt(place, c);
}
