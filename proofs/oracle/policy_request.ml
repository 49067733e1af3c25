(* Which operations count and what is visible. All that decides it is in Policy, which Coq extracts. *)

open Request

(* Ids and keys are read as numbers, which are ordered as their bytes are. *)
let id what value =
  let hex = text what value in
  if String.length hex <> 64 then malformed (what ^ " is not the 64 digits of an id");
  String.iter (fun c -> ignore (digit what c)) hex;
  Z.of_string_base 16 hex

let hex_of_id number =
  let digits = Z.format "%x" number in
  String.make (64 - String.length digits) '0' ^ digits

let ids what value = List.map (id what) (array what value)

(* The id of an operation stands where Coq has what is said. *)
let action said value =
  let its what = "an action's " ^ what in
  match value with
  | Json.Array [ String "add"; base; contribution ] ->
    Policy.Data (Add ((id (its "base") base, id (its "contribution") contribution), (), said))
  | Array [ String "remove"; named ] -> Data (Remove (ids (its "operations") named, said))
  | Array [ String "attest"; merge; root ] -> Data (Attest (id (its "merge id") merge, id (its "root") root, said))
  | Array [ String "grant"; key ] -> Grant (id (its "key") key, (), said)
  | Array [ String "revoke"; grants ] -> Revoke (ids (its "grants") grants, said)
  | Array [ String "keep"; revoke; kept ] -> Keep (id (its "revoke") revoke, ids (its "operations") kept, said)
  | Array [ String "later" ] -> Later said
  | _ -> malformed "an action is none of add, remove, attest, grant, revoke, keep, later, with what belongs to it"

let author = function
  | Json.Array [] -> None
  | Array [ key; valid ] -> Some (id "signed" key, one_of "a signature" [ ("right", true); ("wrong", false) ] valid)
  | _ -> malformed "signed is neither empty nor a key and a signature"

let grant = function
  | Json.Array [] -> None
  | Array [ named ] -> Some (id "under" named)
  | _ -> malformed "under is neither empty nor a grant"

let operation value =
  match of_keys "an operation" [ "id"; "signed"; "under"; "action" ] value with
  | [ number; signed; under; what ] ->
    { Policy.signed = author signed; under = grant under; action = action (id "an operation's id" number) what }
  | _ -> assert false

let operations what value = List.map operation (array what value)

(* The merge ids and roots of all attests, each pair once. *)
let attested held =
  let said one = match one.Policy.action with Data (Attest (merge, root, _)) -> Some (merge, root) | _ -> None in
  List.sort_uniq compare (List.filter_map said held)

let answer value =
  match of_keys "request" [ "check"; "base"; "maintainers"; "operations"; "peer" ] value with
  | [ _; base; maintainers; held; peer ] ->
    let base = id "base" base in
    let keys = match ids "maintainers" maintainers with [] -> None | keys -> Some keys in
    let held, peer = (operations "operations" held, operations "peer" peer) in
    let show found = Json.array (List.map (fun number -> Json.quoted (hex_of_id number)) found) in
    let witnesses (merge, root) = show (merge :: root :: Policy.witness_keys base keys held merge root) in
    Json.obj
      [
        ("admissible", show (Policy.admissible_ids base keys held));
        ("effective", show (Policy.effective_ids base keys held));
        ("visible", show (Policy.visible_ids base keys held));
        ("witnesses", Json.array (List.map witnesses (attested held)));
        ("carried", show (Policy.carried_ids base keys held peer));
      ]
  | _ -> assert false
