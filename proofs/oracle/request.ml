(* What requests have in common: objects of exactly some keys, texts, hexadecimal digits. *)

exception Malformed of string

let malformed what = raise (Malformed what)

(* Members *)

let members what = function Json.Object found -> found | _ -> malformed (what ^ " is not an object")

(* The values of exactly these keys. *)
let of_keys what keys value =
  let found = members what value in
  let unknown = List.find_opt (fun (key, _) -> not (List.mem key keys)) found in
  Option.iter (fun (key, _) -> malformed (Printf.sprintf "%s has an unknown key %S" what key)) unknown;
  let get key =
    match List.assoc_opt key found with Some v -> v | None -> malformed (Printf.sprintf "%s lacks %S" what key)
  in
  List.map get keys

let text what = function Json.String found -> found | _ -> malformed (what ^ " is not a string")

let one_of what choices value =
  match List.assoc_opt (text what value) choices with
  | Some found -> found
  | None -> malformed (what ^ " is none of " ^ String.concat ", " (List.map fst choices))

let array what = function Json.Array found -> found | _ -> malformed (what ^ " is not an array")

let digit what c =
  match c with
  | '0' .. '9' -> Char.code c - Char.code '0'
  | 'a' .. 'f' -> Char.code c - Char.code 'a' + 10
  | _ -> malformed (what ^ " is not lower-case hexadecimal")
