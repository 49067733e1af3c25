(** The counterexamples about policies, by computation. *)

From Coq Require Import NArith List Bool.
From MergeAlgebra.Definitions Require Import OperationSet Policy PolicyNumbers PolicyExamples.
Import ListNotations.
Open Scope N_scope.

Lemma a_bare_revoke_hides_all :
  let s := [grants_ 1 7 10; adds_ 7 10 50 11] in let revoke := revokes_ 1 [10] 12 in
  visible here s = [50] /\ visible here (join s [revoke]) = []
  /\ visible here (join s [revoke; keeps_ 1 12 [11] 13]) = [50].
Proof. now vm_compute. Qed.

Lemma removes_have_to_be_kept_too :
  let s := [grants_ 1 7 10; adds_ 7 10 50 11; removes_ 7 10 [11] 12] in let revoke := revokes_ 1 [10] 13 in
  visible here s = [] /\ visible here (join s [revoke; keeps_ 1 13 [11] 14]) = [50]
  /\ visible here (join s [revoke; keeps_ 1 13 [11; 12] 14]) = [].
Proof. now vm_compute. Qed.

Lemma keeps_are_of_one_revoke :
  let good := adds_ 7 10 50 11 in let bad := adds_ 7 10 60 12 in
  let s := [grants_ 1 7 10; good; bad; revokes_ 1 [10] 13; keeps_ 1 13 [11] 14;
            revokes_ 2 [10] 15; keeps_ 2 15 [11; 12] 16] in
  visible here s = [50] /\ effective here s bad = false /\ kept_by_any s 10 12 = true.
Proof. now vm_compute. Qed.

Lemma a_revoke_has_to_be_new :
  let s := [grants_ 1 7 10; adds_ 7 10 50 11; revokes_ 1 [10] 12] in
  visible here s = [] /\ visible here (join s [revokes_ 1 [10] 12; keeps_ 1 12 [11] 13]) = [50].
Proof. now vm_compute. Qed.

Lemma a_sender_alone_does_not_know :
  let s := [adds_ 7 10 50 11] in let t := [grants_ 1 7 10] in
  filter (admissible here s) s = [] /\ visible here (join s t) = [50]
  /\ visible here (join t (filter (admissible here s) s)) = [].
Proof. now vm_compute. Qed.

Lemma a_remove_acts_in_part :
  let s := [grants_ 1 7 10; grants_ 1 8 20; adds_ 7 10 50 11; adds_ 8 20 60 21] in
  visible here (join s [removes_ 7 10 [11; 21] 12]) = [60]
  /\ visible here (join s [by_ 2 None (Data (Remove [11; 21] 12))]) = [].
Proof. now vm_compute. Qed.

Lemma a_grant_is_not_handed_on :
  let s := [grants_ 1 7 10; by_ 7 (Some 10) (Grant 8 tt 11); adds_ 8 10 50 12; adds_ 8 11 60 13] in
  visible here s = [].
Proof. now vm_compute. Qed.

Lemma late_work_is_hidden_until_it_is_kept :
  let s := [grants_ 1 7 10; adds_ 7 10 50 11; revokes_ 1 [10] 12; keeps_ 1 12 [11] 13; adds_ 7 10 60 14] in
  visible here s = [50] /\ visible here (join s [keeps_ 2 12 [14] 15]) = [50; 60].
Proof. now vm_compute. Qed.

Lemma a_key_can_be_revoked :
  let s := [grants_ 1 7 10; adds_ 7 10 50 11] in let r := revokes_ 1 [10] 12 in let k := keeps_ 1 12 [11] 13 in
  is_signed here /\ ids_told_apart here s /\ action r = Revoke (grants_to here s 7) 12
  /\ ~ In (entry_id here r) (map (entry_id here) s) /\ by_maintainer here k = true
  /\ action k = Keep (entry_id here r) (done_by here s 7) 13 /\ visible here s <> [].
Proof.
  repeat split; try discriminate.
  - intros e other [<- | [<- | []]] [<- | [<- | []]] equal; (reflexivity || discriminate equal).
  - intros [wrong | [wrong | []]]; discriminate wrong.
Qed.
