(** What would not hold under a simpler policy, by computation. Each says why a clause, or a word of one, is there.

    [here] has the maintainers 1 and 2. Operations are written as who makes them, under which grant if it is a writer,
    what they name, and their id last (definitions/PolicyExamples.v): [adds_ 7 10 50 11] is the add 11 of contribution
    50 by the key 7 under the grant 10. *)

From Coq Require Import NArith List.
From MergeAlgebra.Definitions Require Import OperationSet Policy PolicyNumbers PolicyExamples.
From MergeAlgebra.Lemmas Require PolicyExamples.
Import ListNotations.
Open Scope N_scope.

(** A revoke without a keep hides all that was done under the grant, the good work too. [SG-8, SG-11] *)
Theorem a_bare_revoke_hides_all :
  let s := [grants_ 1 7 10; adds_ 7 10 50 11] in let revoke := revokes_ 1 [10] 12 in
  visible here s = [50] /\ visible here (join s [revoke]) = []
  /\ visible here (join s [revoke; keeps_ 1 12 [11] 13]) = [50].
Proof. exact PolicyExamples.a_bare_revoke_hides_all. Qed.

(** Removes have to be kept too: where only the adds are, what a writer took back long ago comes again. [SG-8, SG-11] *)
Theorem removes_have_to_be_kept_too :
  let s := [grants_ 1 7 10; adds_ 7 10 50 11; removes_ 7 10 [11] 12] in let revoke := revokes_ 1 [10] 13 in
  visible here s = [] /\ visible here (join s [revoke; keeps_ 1 13 [11] 14]) = [50]
  /\ visible here (join s [revoke; keeps_ 1 13 [11; 12] 14]) = [].
Proof. exact PolicyExamples.removes_have_to_be_kept_too. Qed.

(** A keep is of one revoke: if any keep lifted all revokes, a second maintainer who revokes the same grant at the same
    time, and keeps what the first one threw out, would bring that back. [SG-8] *)
Theorem keeps_are_of_one_revoke :
  let good := adds_ 7 10 50 11 in let bad := adds_ 7 10 60 12 in
  let s := [grants_ 1 7 10; good; bad; revokes_ 1 [10] 13; keeps_ 1 13 [11] 14;
            revokes_ 2 [10] 15; keeps_ 2 15 [11; 12] 16] in
  visible here s = [50] /\ effective here s bad = false /\ kept_by_any s 10 12 = true.
Proof. exact PolicyExamples.keeps_are_of_one_revoke. Qed.

(** That a revoke which keeps all changes nothing is said of a new one: a further keep of one that is there brings back
    what was hidden. [SG-8, SG-11] *)
Theorem a_revoke_has_to_be_new :
  let s := [grants_ 1 7 10; adds_ 7 10 50 11; revokes_ 1 [10] 12] in
  visible here s = [] /\ visible here (join s [revokes_ 1 [10] 12; keeps_ 1 12 [11] 13]) = [50].
Proof. exact PolicyExamples.a_revoke_has_to_be_new. Qed.

(** What the revoking replica did not hold, no keep of its names: it is hidden where the revoke arrives, until a
    maintainer keeps it. [SG-8, SG-11] *)
Theorem late_work_is_hidden_until_it_is_kept :
  let s := [grants_ 1 7 10; adds_ 7 10 50 11; revokes_ 1 [10] 12; keeps_ 1 12 [11] 13; adds_ 7 10 60 14] in
  visible here s = [50] /\ visible here (join s [keeps_ 2 12 [14] 15]) = [50; 60].
Proof. exact PolicyExamples.late_work_is_hidden_until_it_is_kept. Qed.

(** Who sends cannot know alone what is admissible: here the receiver has the grant, and nothing is sent. [SG-10] *)
Theorem a_sender_alone_does_not_know :
  let s := [adds_ 7 10 50 11] in let t := [grants_ 1 7 10] in
  filter (admissible here s) s = [] /\ visible here (join s t) = [50]
  /\ visible here (join t (filter (admissible here s) s)) = [].
Proof. exact PolicyExamples.a_sender_alone_does_not_know. Qed.

(** A remove acts in part: a writer's that names an add of its own and one of another hides the first alone, a
    maintainer's hides both. [SG-9] *)
Theorem a_remove_acts_in_part :
  let s := [grants_ 1 7 10; grants_ 1 8 20; adds_ 7 10 50 11; adds_ 8 20 60 21] in
  visible here (join s [removes_ 7 10 [11; 21] 12]) = [60]
  /\ visible here (join s [by_ 2 None (Data (Remove [11; 21] 12))]) = [].
Proof. exact PolicyExamples.a_remove_acts_in_part. Qed.

(** A grant is not handed on, nor used by somebody else. [SG-8] *)
Theorem a_grant_is_not_handed_on :
  let s := [grants_ 1 7 10; by_ 7 (Some 10) (Grant 8 tt 11); adds_ 8 10 50 12; adds_ 8 11 60 13] in
  visible here s = [].
Proof. exact PolicyExamples.a_grant_is_not_handed_on. Qed.

(** What the claim about revoking a key takes for granted can be met where something is visible, so that it does not
    hold emptily. [SG-11] *)
Theorem a_key_can_be_revoked :
  let s := [grants_ 1 7 10; adds_ 7 10 50 11] in let r := revokes_ 1 [10] 12 in let k := keeps_ 1 12 [11] 13 in
  is_signed here /\ ids_told_apart here s /\ action r = Revoke (grants_to here s 7) 12
  /\ ~ In (entry_id here r) (map (entry_id here) s) /\ by_maintainer here k = true
  /\ action k = Keep (entry_id here r) (done_by here s 7) 13 /\ visible here s <> [].
Proof. exact PolicyExamples.a_key_can_be_revoked. Qed.
