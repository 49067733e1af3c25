(* The JSON that a request is made of: strings, arrays and objects. Numbers, booleans and null have no place in one. *)

type t = String of string | Array of t list | Object of (string * t) list

exception Bad of string

let deepest = 8

let bad position what = raise (Bad (Printf.sprintf "%s at byte %d" what position))

let is_space c = c = ' ' || c = '\t' || c = '\n' || c = '\r'

let rec skip text i = if i < String.length text && is_space text.[i] then skip text (i + 1) else i

let expect text i c =
  let i = skip text i in
  if i < String.length text && text.[i] = c then i + 1 else bad i (Printf.sprintf "expected %C" c)

let peek text i =
  let i = skip text i in
  if i < String.length text then text.[i] else bad i "the text ends too early"

let hex_digits text i =
  if i + 4 > String.length text then bad i "the text ends too early";
  let digits = String.sub text i 4 in
  let is_digit c = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') in
  if not (String.for_all is_digit digits) then bad i "expected four hexadecimal digits";
  int_of_string ("0x" ^ digits)

(* The code point of an escape, surrogates joined, and what follows it. *)
let code_point text i =
  let high = hex_digits text i in
  if high < 0xd800 || high > 0xdfff then (high, i + 4)
  else begin
    let follows = i + 6 <= String.length text && String.sub text (i + 4) 2 = "\\u" in
    let low = if high < 0xdc00 && follows then hex_digits text (i + 6) else 0 in
    if low < 0xdc00 || low > 0xdfff then bad i "a lone surrogate";
    (0x10000 + ((high - 0xd800) lsl 10) + (low - 0xdc00), i + 10)
  end

let escapes = [ ('"', '"'); ('\\', '\\'); ('/', '/'); ('b', '\b'); ('f', '\012'); ('n', '\n'); ('r', '\r'); ('t', '\t') ]

let read_string text i =
  let made = Buffer.create 16 in
  let rec next i =
    if i >= String.length text then bad i "the text ends too early";
    match text.[i] with
    | '"' -> i + 1
    | '\\' -> escaped (i + 1)
    | c when c < ' ' -> bad i "a control character in a string"
    | c -> Buffer.add_char made c; next (i + 1)
  and escaped i =
    if i >= String.length text then bad i "the text ends too early";
    match List.assoc_opt text.[i] escapes with
    | Some c -> Buffer.add_char made c; next (i + 1)
    | None when text.[i] = 'u' ->
      let code, after = code_point text (i + 1) in
      Buffer.add_utf_8_uchar made (Uchar.of_int code); next after
    | None -> bad i "an unknown escape"
  in
  let after = next (expect text i '"') in
  (Buffer.contents made, after)

let rec read_value depth text i =
  if depth > deepest then bad i "nested too deep";
  match peek text i with
  | '"' -> let made, after = read_string text i in (String made, after)
  | '[' -> let made, after = read_items (read_value (depth + 1)) ']' text (expect text i '[') in (Array made, after)
  | '{' ->
    let made, after = read_items (read_member depth) '}' text (expect text i '{') in
    let keys = List.sort_uniq String.compare (List.map fst made) in
    if List.length keys < List.length made then bad i "a key that stands twice";
    (Object made, after)
  | _ -> bad (skip text i) "expected a string, an array or an object"

and read_member depth text i =
  let key, after = read_string text i in
  let value, after = read_value (depth + 1) text (expect text after ':') in
  ((key, value), after)

(* Items between commas, up to the closing bracket; the opening one is behind us. *)
and read_items : 'a. (string -> int -> 'a * int) -> char -> string -> int -> 'a list * int =
  fun read_item close text i ->
  let rec more items i =
    let item, after = read_item text i in
    if peek text after = ',' then more (item :: items) (expect text after ',')
    else (List.rev (item :: items), expect text after close)
  in
  if peek text i = close then ([], expect text i close) else more [] i

(* One value and nothing behind it. Raises Bad. *)
let read text =
  let value, after = read_value 1 text 0 in
  let stop = skip text after in
  if stop < String.length text then bad stop "something behind the value" else value

let quoted text =
  let made = Buffer.create (String.length text + 2) in
  let add c =
    if c = '"' || c = '\\' then (Buffer.add_char made '\\'; Buffer.add_char made c)
    else if c < ' ' then Buffer.add_string made (Printf.sprintf "\\u%04x" (Char.code c))
    else Buffer.add_char made c
  in
  Buffer.add_char made '"'; String.iter add text; Buffer.add_char made '"';
  Buffer.contents made

let array items = "[" ^ String.concat "," items ^ "]"

let obj members = "{" ^ String.concat "," (List.map (fun (key, value) -> quoted key ^ ":" ^ value) members) ^ "}"
