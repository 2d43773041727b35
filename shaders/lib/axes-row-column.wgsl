// The row turns the first half of the frequencies, D/4 of them, the column the second: by element, since D/4 may lie within a vector.
fn placeOf(token: u32) -> vec2u {
  return vec2u(positions[2u * token], positions[2u * token + 1u]);
}
fn anglesOf(place: vec2u, c: u32) -> Angles {
  let row = anglesAt(place.x, c);
  let column = anglesAt(place.y, c);
  let isColumn = vec4u(4u * c) + vec4u(0u, 1u, 2u, 3u) >= vec4u(2u * params.half4);
  return Angles(select(row.cosine, column.cosine, isColumn), select(row.sine, column.sine, isColumn));
}
