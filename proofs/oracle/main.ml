(* One request a line in, one answer a line out; README.md has the format. Everything that decides a bit is in
   Reducer and Policy, which Coq extracts; here is only reading and writing. *)

open Request

(* Bits *)

let dtypes = Reducer.[ ("F64", F64); ("F32", F32); ("BF16", BF16); ("F16", F16) ]
let dtype_name dtype = fst (List.find (fun (_, d) -> d = dtype) dtypes)
let bytes_of = function Reducer.F64 -> 8 | F32 -> 4 | BF16 | F16 -> 2

let bytes_of_hex what hex =
  if String.length hex mod 2 = 1 then malformed (what ^ " has half a byte");
  String.init (String.length hex / 2) (fun i -> Char.chr ((16 * digit what hex.[2 * i]) + digit what hex.[(2 * i) + 1]))

(* Little-endian, as in files. *)
let elements what dtype hex =
  let data, size = (bytes_of_hex what hex, bytes_of dtype) in
  if String.length data mod size > 0 then malformed (what ^ " does not end with an element");
  List.init (String.length data / size) (fun i -> Z.of_bits (String.sub data (i * size) size))

let hex_of dtype bits =
  let data = Z.to_bits bits in
  let byte i = if i < String.length data then Char.code data.[i] else 0 in
  String.concat "" (List.init (bytes_of dtype) (fun i -> Printf.sprintf "%02x" (byte i)))

(* The bits of an fp32 number as an integer: 1 is 3f800000. *)
let fp32 what value =
  let hex = text what value in
  if String.length hex <> 8 then malformed (what ^ " is not the eight digits of fp32 bits");
  String.iter (fun c -> ignore (digit what c)) hex;
  Z.of_string_base 16 hex

(* Requests *)

(* An exact decimal as a quotient: 0.25 is 25/100. *)
let decimal what value =
  let written = text what value in
  let whole, fraction =
    match String.split_on_char '.' written with
    | [ whole ] -> (whole, "")
    | [ whole; fraction ] when fraction <> "" -> (whole, fraction)
    | _ -> malformed (what ^ " is not a decimal")
  in
  let digits = whole ^ fraction in
  let plain = String.for_all (fun c -> c >= '0' && c <= '9') digits in
  if (not plain) || whole = "" || String.length digits > 100 then malformed (what ^ " is not a decimal");
  (Z.of_string_base 10 digits, Z.pow (Z.of_int 10) (String.length fraction))

let density value =
  let num, den = decimal "density" value in
  if Z.sign num <= 0 || Z.gt num den then malformed "density is not above 0 and at most 1";
  (num, den)

let tensor what value =
  match of_keys what [ "dtype"; "hex" ] value with
  | [ dtype; hex ] ->
    let dtype = one_of (what ^ "'s dtype") dtypes dtype in
    (dtype, elements what dtype (text what hex))
  | _ -> assert false

(* Name order is that of the UTF-8 bytes, which is OCaml's order of strings. *)
let tensors what value =
  let named = List.map (fun (name, t) -> (name, tensor (Printf.sprintf "%s's tensor %S" what name) t)) (members what value) in
  List.sort (fun (a, _) (b, _) -> String.compare a b) named

let held base what value =
  let found = tensors what value in
  let unknown = List.find_opt (fun (name, _) -> not (List.mem_assoc name base)) found in
  Option.iter (fun (name, _) -> malformed (Printf.sprintf "%s's tensor %S is not in the base" what name)) unknown;
  List.map (fun (name, _) -> List.assoc_opt name found) base

let contribution base place value =
  let what = Printf.sprintf "contribution %d" place in
  match of_keys what [ "form"; "coefficient"; "tensors" ] value with
  | [ form; coefficient; tensors ] ->
    let forms = Reducer.[ ("finetuned", Finetuned); ("task_vector", TaskVector) ] in
    let kind = one_of (what ^ "'s form") forms form in
    let coefficient_bits = fp32 (what ^ "'s coefficient") coefficient in
    { Reducer.kind; coefficient_bits; held = held base what tensors }
  | _ -> assert false

(* Those of lambda alone. *)
let plain = Reducer.[ ("mean", Mean); ("task_arithmetic", TaskArithmetic); ("negmerge", NegMerge); ("ram", RAM) ]

let recipe value =
  let common = [ "method"; "lambda" ] in
  let named name = List.assoc_opt "method" (members "recipe" value) = Some (Json.String name) in
  let how, lambda =
    if named "linear" then (ignore (of_keys "recipe" [ "method" ] value); (Reducer.Linear, Json.String "3f800000"))
    else if named "ties" then
      match of_keys "recipe" (common @ [ "density"; "scope"; "boundary" ]) value with
      | [ _; lambda; rho; scope; boundary ] ->
        let num, den = density rho in
        let scope = one_of "scope" Reducer.[ ("model", Model); ("tensor", Tensor) ] scope in
        let boundary = one_of "boundary" Reducer.[ ("keep_all", KeepAll); ("lowest_index", LowestIndex) ] boundary in
        (Reducer.TIES (boundary, num, den, scope), lambda)
      | _ -> assert false
    else
      match of_keys "recipe" common value with
      | [ name; lambda ] -> (one_of "method" plain name, lambda)
      | _ -> assert false
  in
  (how, fp32 "lambda" lambda)

(* Answers *)

let numbers zs = Json.array (List.map Z.to_string zs)

(* The tensor that holds a position of the canonical order, and the position in it. *)
let rec locate position = function
  | [] -> malformed "there is no such position"
  | (name, (_, xs)) :: rest ->
    let size = List.length xs in
    if position < size then (name, position) else locate (position - size) rest

let refused rule members = Json.obj [ ("refused", Json.obj (("rule", Json.quoted rule) :: members)) ]
let by place = [ ("contribution", Z.to_string place) ]

let not_finite base position what =
  let name, element = locate (Z.to_int position) base in
  let kind, whose =
    match what with
    | Reducer.InTau place -> ("tau", by place)
    | InV place -> ("v", by place)
    | InTauM -> ("tau_m", [])
    | InResult -> ("result", [])
  in
  let there = [ ("tensor", Json.quoted name); ("element", string_of_int element) ] in
  refused "NonFinite" ((("what", Json.quoted kind) :: whose) @ there)

(* [shown]: the names and dtypes of the tensors of an answer, beside them what they hold. *)
let answered base shown = function
  | Reducer.Merged (bits, kept) ->
    let show (name, dtype) data =
      let hex = String.concat "" (List.map (hex_of dtype) data) in
      (name, Json.obj [ ("dtype", Json.quoted (dtype_name dtype)); ("hex", Json.quoted hex) ])
    in
    let made = List.filter_map (fun (s, data) -> Option.map (fun s -> show s data) s) (List.combine shown bits) in
    Json.obj [ ("tensors", Json.obj made); ("kept", numbers kept) ]
  | NotFiniteAt (position, what) -> not_finite base position what
  | BadCoefficient place -> refused "CoefficientError" (by place)
  | NothingToMerge -> refused "NothingVisible" []
  | Malformed -> malformed "lambda is not finite, or a tensor has not the size of the base's"

let merge value =
  match of_keys "request" [ "check"; "recipe"; "base"; "contributions" ] value with
  | [ _; asked; base; Json.Array listed ] ->
    let how, lambda_bits = recipe asked in
    let base = tensors "base" base in
    let contributions = List.mapi (contribution base) listed in
    let shown = List.map (fun (name, (dtype, _)) -> Some (name, dtype)) base in
    answered base shown (Reducer.reduce { how; lambda_bits; base = List.map snd base; contributions })
  | _ -> malformed "contributions is not an array"

let task_vector value =
  match of_keys "request" [ "check"; "form"; "base"; "tensors" ] value with
  | [ _; form; base; given ] ->
    let base = tensors "base" base in
    let one = Json.(Object [ ("form", form); ("coefficient", String "3f800000"); ("tensors", given) ]) in
    let c = contribution base 0 one in
    let shown = List.map2 (fun (name, _) h -> Option.map (fun _ -> (name, Reducer.F32)) h) base c.Reducer.held in
    answered base shown (Reducer.task_vector (List.map snd base) c)
  | _ -> assert false

let answer line =
  match
    let value = Json.read line in
    match List.assoc_opt "check" (members "request" value) with
    | Some (Json.String "merge") -> merge value
    | Some (Json.String "task-vector") -> task_vector value
    | Some (Json.String "policy") -> Policy_request.answer value
    | _ -> malformed "check is none of merge, task-vector, policy"
  with
  | made -> made
  | exception (Json.Bad what | Malformed what) -> Json.obj [ ("error", Json.quoted what) ]
  | exception Stack_overflow -> Json.obj [ ("error", Json.quoted "the request is too large for the stack") ]

let rec serve () =
  match input_line stdin with
  | exception End_of_file -> ()
  | line -> print_endline (answer line); serve ()

let () = serve ()
